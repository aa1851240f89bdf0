// Forms. They keep their input until the server has accepted it, and show an error at the field that caused it.

import type { ComponentChildren } from "preact";
import { createContext } from "preact";
import { useContext, useId, useLayoutEffect, useRef, useState } from "preact/hooks";

import { plural, s } from "../strings/index.ts";
import { config } from "./auth.ts";
import { Alert, Button } from "./basics.tsx";
import { useAction, useCountdown } from "./hooks.ts";
import { Icon } from "./icons.tsx";
import { fieldOf, type Problem, sentence } from "./problem.ts";

type Values = Record<string, string>;

export interface FormState {
  values: Values;
  errors: Values;
  /** How often the input was refused. */
  refusals: number;
  set: (name: string, value: string) => void;
  /** Empties the form, or sets these values. */
  reset: (values?: Values) => void;
  isBusy: boolean;
  problem: Problem | undefined;
  /** The seconds until the server accepts another attempt. */
  left: number;
  submit: (event: Event) => void;
}

/** The input of forms that the user has left. Passwords are not kept. */
const drafts = new Map<string, Values>();
export const forgetDrafts = () => drafts.clear();
export const draftOf = (name: string) => drafts.get(name);

/**
 * @param name the name under which the input is kept
 * @param initial the fields, with their values
 * @param send the action of the button. If it fails, the input stays
 * @param required fields that must not be empty
 */
export function useForm(
  name: string,
  initial: Values,
  send: (values: Values) => Promise<unknown>,
  required: string[] = [],
): FormState {
  const [values, setValues] = useState<Values>(() => ({ ...initial, ...drafts.get(name) }));
  const [{ errors, refusals }, setRefusal] = useState<{ errors: Values; refusals: number }>({
    errors: {},
    refusals: 0,
  });
  const refuse = (errors: Values) => setRefusal(({ refusals }) => ({ errors, refusals: refusals + 1 }));
  const action = useAction(send);
  const left = useCountdown(action.problem);
  const fields = Object.keys(initial);

  // Shows the problem of a field at that field.
  const { problem } = action;
  const field = problem && fieldOf(problem, fields);
  useLayoutEffect(() => {
    if (problem && field) refuse({ [field]: sentence(problem) });
  }, [problem]);

  const set = (field: string, value: string) => {
    setValues((values) => {
      const next = { ...values, [field]: value };
      const kept = Object.entries(next).filter(([name]) => !name.includes("password"));
      drafts.set(name, Object.fromEntries(kept));
      return next;
    });
    setRefusal(({ errors: { [field]: _gone, ...others }, refusals }) => ({ errors: others, refusals }));
    // The attempts were those of another name.
    if (field === "login" && problem?.code === "too_many_attempts") action.dismiss();
  };
  const reset = (next = initial) => {
    drafts.delete(name);
    setValues(next);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    if (left > 0) return;
    const empty = required.filter((field) => values[field]?.trim() === "");
    if (empty.length > 0) return refuse(Object.fromEntries(empty.map((field) => [field, s.errors.required])));
    setRefusal({ errors: {}, refusals });
    action.run(values);
  };
  return {
    values,
    errors,
    refusals,
    set,
    reset,
    isBusy: action.isBusy,
    problem: field ? undefined : problem,
    left,
    submit,
  };
}

const Context = createContext<FormState>(undefined as unknown as FormState);

/** A form. After a refusal, the first invalid field has the focus. */
export function Form({ form, children }: { form: FormState; children: ComponentChildren }) {
  const element = useRef<HTMLFormElement>(null);
  // Not after every change of the errors: who corrects a field must stay in it.
  useLayoutEffect(() => {
    element.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [form.refusals]);
  return (
    <Context.Provider value={form}>
      {/* The browser's own messages disappear, and are not in the language of the page. */}
      <form ref={element} noValidate onSubmit={form.submit}>
        <FormProblem form={form} />
        {children}
        {/* It exists before its text. Otherwise, screen readers would not announce it. */}
        <p class="hidden" role="status">
          {spoken(form)}
        </p>
      </form>
    </Context.Provider>
  );
}

/** The problem of a form as a whole, with a countdown if the server asks to wait. */
function FormProblem({ form: { problem, left } }: { form: FormState }) {
  if (!problem) return null;
  if (!problem.retryAfter) return <Alert problem={problem} />;
  const isOver = left === 0;
  return (
    <div class={isOver ? "alert over" : "alert"}>
      <Icon name={isOver ? "check" : "alert"} />
      {/* Screen readers do not announce the changes of a timer. */}
      <p role="timer">{isOver ? s.errors.retryNow : sentence(problem, left)}</p>
    </div>
  );
}

/** How long the beginning of a countdown is in the page for screen readers, in seconds. */
const SPOKEN_FOR = 5;

/** What screen readers announce of a countdown: its beginning and its end. */
function spoken({ problem, left }: FormState): string | undefined {
  if (!problem?.retryAfter) return undefined;
  if (left === 0) return s.errors.retryNow;
  return left > problem.retryAfter - SPOKEN_FOR ? sentence(problem) : undefined;
}

export interface FieldOptions {
  name: string;
  label: string;
  hint?: string;
  type?: "text" | "email";
  autocomplete: string;
  isOptional?: boolean;
  inputMode?: "email" | "numeric" | "text";
}

export function Field({ name, label, hint, type = "text", autocomplete, isOptional, inputMode }: FieldOptions) {
  const form = useContext(Context);
  const id = useId();
  const error = form.errors[name];
  return (
    <div class="field">
      <label for={id}>
        {label}
        {isOptional && <span class="optional"> {s.optional}</span>}
      </label>
      <input
        id={id}
        name={name}
        type={type as "text"}
        value={form.values[name]}
        onInput={(event) => form.set(name, event.currentTarget.value)}
        autocomplete={autocomplete}
        autocapitalize={capitals(autocomplete)}
        spellcheck={false}
        inputMode={inputMode}
        aria-invalid={error !== undefined}
        aria-describedby={describedBy(id, hint, error)}
      />
      <Notes id={id} hint={hint} error={error} />
    </div>
  );
}

/** What the keyboard of a phone writes in capitals. */
function capitals(autocomplete: string) {
  if (autocomplete === "one-time-code") return "characters";
  return /^(given-|family-)?name$/.test(autocomplete) ? "words" : "none";
}

/** A password field. For a new password, a hint says how long it must be. */
export function PasswordField({
  name,
  label,
  isNew = false,
  note,
}: {
  name: string;
  label: string;
  isNew?: boolean;
  note?: string | undefined;
}) {
  const form = useContext(Context);
  const id = useId();
  const [isShown, setShown] = useState(false);
  const value = form.values[name] ?? "";
  const error = form.errors[name];
  // Counted in code points, as the server does.
  const isLong = [...value.normalize("NFC")].length >= config.password_min_length;
  const hint = isNew ? (isLong ? s.passwordEnough : plural(s.passwordHint, config.password_min_length)) : note;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="with-button">
        <input
          id={id}
          name={name}
          type={(isShown ? "text" : "password") as "text"}
          value={value}
          onInput={(event) => form.set(name, event.currentTarget.value)}
          autocomplete={isNew ? "new-password" : "current-password"}
          autocapitalize="none"
          spellcheck={false}
          aria-invalid={error !== undefined}
          aria-describedby={describedBy(id, hint, error)}
        />
        <button
          type="button"
          class="reveal"
          aria-label={isShown ? s.hidePassword : s.showPassword}
          aria-controls={id}
          onClick={() => setShown(!isShown)}
        >
          <Icon name={isShown ? "eyeOff" : "eye"} />
        </button>
      </div>
      <Notes id={id} hint={hint} error={error} isGood={isNew && isLong} />
    </div>
  );
}

/** The login name, with which password managers save the password. */
export function LoginName({ value }: { value: string }) {
  return <input type="text" name="username" autocomplete="username" value={value} readOnly hidden />;
}

export function Submit({
  children,
  kind = "primary",
  isWide = false,
}: {
  children: ComponentChildren;
  kind?: "primary" | "danger" | "plain";
  isWide?: boolean;
}) {
  const { isBusy, left } = useContext(Context);
  return (
    <Button kind={kind} type="submit" isBusy={isBusy} isDisabled={left > 0} isWide={isWide}>
      {children}
    </Button>
  );
}

function describedBy(id: string, hint: string | undefined, error: string | undefined): string | undefined {
  return [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ") || undefined;
}

function Notes({
  id,
  hint,
  error,
  isGood = false,
}: {
  id: string;
  hint: string | undefined;
  error: string | undefined;
  isGood?: boolean;
}) {
  return (
    <>
      {error && (
        <p class="error" id={`${id}-error`}>
          <Icon name="alert" />
          {error}
        </p>
      )}
      {hint && (
        <p class={isGood ? "hint good" : "hint"} id={`${id}-hint`}>
          {isGood && <Icon name="check" />}
          {hint}
        </p>
      )}
    </>
  );
}
