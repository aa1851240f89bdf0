// What is hashed, and at which cost, by everything that hashes here.

export const PASSWORD = "correct horse battery staple";
/** 16 bytes. */
export const SALT = "0123456789abcdef";
/** The defaults of ARGON2_MEMORY_KIB (in KiB) and ARGON2_ITERATIONS, and what is fixed. */
export const ARGON2 = { memory: 19456, passes: 2, parallelism: 1, tagLength: 32 };
/** What better-auth hashes with, as @better-auth/utils has it. */
export const SCRYPT = { N: 16384, r: 16, p: 1, dkLen: 64 };
