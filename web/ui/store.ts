// A value outside of the views, which shows them its changes.

import { useEffect, useState } from "preact/hooks";

export interface Store<T> {
  get: () => T;
  set: (value: T) => void;
  /** The current value, in a component. */
  use: () => T;
}

export function store<T>(initial: T): Store<T> {
  let value = initial;
  const listeners = new Set<(value: T) => void>();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const listener of listeners) listener(next);
    },
    use() {
      const [shown, show] = useState(value);
      useEffect(() => {
        const listener = (next: T) => show(() => next);
        listeners.add(listener);
        // It may have changed since the component was made.
        listener(value);
        return () => void listeners.delete(listener);
      }, []);
      return shown;
    },
  };
}
