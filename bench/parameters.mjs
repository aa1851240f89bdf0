// The password, salt and cost parameters of all measured hashes.

export const PASSWORD = "correct horse battery staple";
/** 16 bytes. */
export const SALT = "0123456789abcdef";
/** The defaults of ARGON2_MEMORY_KIB and ARGON2_ITERATIONS, and the fixed parameters. */
export const ARGON2 = { memory: 19456, passes: 2, parallelism: 1, tagLength: 32 };
/** The parameters of better-auth, from @better-auth/utils. */
export const SCRYPT = { N: 16384, r: 16, p: 1, dkLen: 64 };
