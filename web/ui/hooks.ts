import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { client, problemOf } from "./auth.ts";
import { isTemporary, type Problem } from "./problem.ts";
import { withStepUp } from "./step-up.ts";

/** An action that cannot run twice at once. */
export interface Action<A extends unknown[]> {
  run: (...args: A) => Promise<void>;
  isBusy: boolean;
  problem: Problem | undefined;
  /** Removes the problem. */
  dismiss: () => void;
}

/** If the server wants the user to authenticate again, the page asks for that, and runs the action once more. */
export function useAction<A extends unknown[]>(work: (...args: A) => Promise<unknown>): Action<A> {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  // In addition to the state, which changes too late for a second click at the same moment.
  const running = useRef(false);
  const run = async (...args: A) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setProblem(undefined);
    try {
      await withStepUp(() => work(...args));
    } catch (error) {
      setProblem(problemOf(error));
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { run, isBusy, problem, dismiss: () => setProblem(undefined) };
}

/** Counts down the seconds until a retry makes sense. 0 if there is nothing to wait for. */
export function useCountdown(problem: Problem | undefined): number {
  const [counted, setCounted] = useState<{ problem: Problem | undefined; left: number }>();
  const seconds = problem?.retryAfter ?? 0;
  useEffect(() => {
    if (seconds === 0) return;
    const from = Date.now();
    const timer = setInterval(() => {
      const passed = (Date.now() - from) / 1000;
      // If the clock was set back, nobody knows how much time has passed.
      const left = passed < 0 ? 0 : Math.max(0, Math.ceil(seconds - passed));
      setCounted({ problem, left });
      if (left === 0) clearInterval(timer);
    }, 1000);
    return () => clearInterval(timer);
  }, [problem]);
  return counted?.problem === problem ? (counted?.left ?? 0) : seconds;
}

export interface Loaded<T> {
  data: T | undefined;
  problem: Problem | undefined;
  isBusy: boolean;
  reload: () => void;
  /** Changes the loaded data after an action. The result of a request under way is then discarded. */
  change: (update: (data: T) => T) => void;
}

/** Loads data, and loads it again when `key` changes. Outdated responses are discarded. */
export function useLoad<T>(load: () => Promise<T>, key = ""): Loaded<T> {
  const [state, setState] = useState<{ data?: T; problem?: Problem; isBusy: boolean }>({ isBusy: true });
  const latest = useRef(0);
  const work = useRef(load);
  work.current = load;
  const reload = useCallback(() => {
    latest.current += 1;
    const own = latest.current;
    const end = (update: { data: T } | { problem: Problem }) => {
      if (own === latest.current)
        setState(({ problem: _before, ...others }) => ({ ...others, ...update, isBusy: false }));
    };
    setState(({ problem: _before, ...others }) => ({ ...others, isBusy: true }));
    withStepUp(() => work.current()).then(
      (data) => end({ data }),
      (error) => end({ problem: problemOf(error) }),
    );
  }, []);
  useEffect(() => {
    setState({ isBusy: true });
    reload();
    return () => {
      latest.current += 1;
    };
  }, [key]);
  useRetryOnline(state.problem, reload);
  const change = (update: (data: T) => T) => {
    latest.current += 1;
    setState(({ data }) => ({ ...(data !== undefined && { data: update(data) }), isBusy: false }));
  };
  return { data: state.data, problem: state.problem, isBusy: state.isBusy, reload, change };
}

/** A paginated list. */
export interface Pages<T> extends Loaded<T[]> {
  hasMore: boolean;
  more: () => void;
}

interface Loading<T> {
  items: T[];
  /** The cursor of the next page. */
  next: string | null;
}

/** The pages of a path such as `/me/events`. Their entries are in `member` of the responses. */
export function usePages<T>(path: string, member: string): Pages<T> {
  const page = async (cursor: string | null): Promise<Loading<T>> => {
    const query = cursor === null ? "" : `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}`;
    const answer = await client.request<Record<string, unknown>>("GET", path + query);
    return { items: answer[member] as T[], next: answer.next_cursor as string | null };
  };
  const loaded = useLoad(() => page(null), path);
  const shown = useRef(path);
  shown.current = path;
  const next = useAction(async () => {
    const { items, next } = await page(loaded.data?.next ?? null);
    // The view may now show another list.
    if (shown.current === path) loaded.change((before) => ({ items: [...before.items, ...items], next }));
  });
  return {
    data: loaded.data?.items,
    isBusy: loaded.isBusy || next.isBusy,
    problem: loaded.problem ?? next.problem,
    reload: next.problem && !loaded.problem ? next.run : loaded.reload,
    change: (update) => loaded.change(({ items, next }) => ({ items: update(items), next })),
    hasMore: (loaded.data?.next ?? null) !== null,
    more: next.run,
  };
}

/** Milliseconds from the event `online` to the first retry, because the connection works a little later. Doubles with each retry. */
const SETTLING = 500;
/** The number of retries after the event `online`: the last one is 30 seconds after it. */
const RETRIES = 6;

/** Retries when the browser is online again. */
function useRetryOnline(problem: Problem | undefined, retry: () => void) {
  const waits = problem !== undefined && isTemporary(problem);
  const [events, setEvents] = useState(0);
  const retries = useRef(RETRIES);
  useEffect(() => {
    const begin = () => {
      retries.current = 0;
      setEvents((before) => before + 1);
    };
    addEventListener("online", begin);
    return () => removeEventListener("online", begin);
  }, []);
  useEffect(() => {
    if (!waits || retries.current === RETRIES) return;
    const timer = setTimeout(retry, SETTLING * 2 ** retries.current);
    retries.current += 1;
    return () => clearTimeout(timer);
  }, [waits, events, retry]);
}

/** Whether a state has lasted for some time, so that short states do not flicker. */
export function useDelayed(isOn: boolean, milliseconds = 250): boolean {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    if (!isOn) return setLate(false);
    const timer = setTimeout(() => setLate(true), milliseconds);
    return () => clearTimeout(timer);
  }, [isOn]);
  return isOn && isLate;
}

export function useOnline(): boolean {
  const [isOnline, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const update = () => setOnline(navigator.onLine);
    addEventListener("online", update);
    addEventListener("offline", update);
    return () => {
      removeEventListener("online", update);
      removeEventListener("offline", update);
    };
  }, []);
  return isOnline;
}
