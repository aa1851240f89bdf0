// Test files that run in the same process one after the other share what takes long to start: the browser and workerd.

let isKeeping = false;
const closers = new Set();

/** From now on, files share. */
export function keep() {
  isKeeping = true;
}

/** Whether files share. Then `close` is called after the last file. */
export function keeps(close) {
  if (isKeeping) closers.add(close);
  return isKeeping;
}

export async function closeKept() {
  for (const close of closers) await close();
}
