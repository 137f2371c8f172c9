import { showValue } from './show-value.js'

/**
 * Templates: strings of a document in which `{{field}}` stands for a value of the run.
 *
 * - A field is a dotted path as guards read it (`guards/field-path.ts`): of the context, or `event.name`,
 *   `event.payload` and below. `run.id`, `run.state`, `run.revision`, `run.attempt` and `run.idempotency_key` are the
 *   run's, whatever keys the context has: a context key below such a word is reached as `context.run.…`. In a rollback
 *   `run.compensates.state`, `.revision` and `.idempotency_key` are those of the visit that is undone.
 * - `{{'text'}}` stands for the text itself, so `{{'{{'}}` writes two braces. Everything outside of `{{ }}` is literal.
 */
export interface Template {
  /** In order; literal neighbours are one part. Empty for an empty string, and when there is a problem. */
  readonly parts: readonly TemplatePart[]
  /** Why the string is no template, as a sentence with its remedy. */
  readonly problem?: string
}

export type TemplatePart = { readonly text: string } | { readonly field: string }

/** What the word `run` has in a template; `compensates` in a rollback only. */
const RUN_FIELDS = [
  'id',
  'state',
  'revision',
  'attempt',
  'idempotency_key',
  'compensates.state',
  'compensates.revision',
  'compensates.idempotency_key',
]

const OPEN = '{{'
const CLOSE = '}}'
const SHOWN_CHARS = 40

/** Takes a string apart. Pure, and linear in its length. */
export function parseTemplate(source: string): Template {
  const parts: TemplatePart[] = []
  const addText = (text: string) => {
    const last = parts.at(-1)
    if (text === '') return
    if (last && 'text' in last) parts[parts.length - 1] = { text: last.text + text }
    else parts.push({ text })
  }
  let at = 0
  for (;;) {
    const open = source.indexOf(OPEN, at)
    addText(source.slice(at, open === -1 ? undefined : open))
    if (open === -1) return { parts }
    const tag = readTag(source, open)
    if ('problem' in tag) return { parts: [], problem: tag.problem }
    if ('text' in tag) addText(tag.text)
    else parts.push({ field: tag.field })
    at = tag.end
  }
}

type Tag = (TemplatePart & { readonly end: number }) | { readonly problem: string }

/** Reads `{{…}}` at `open`; `end` is the place behind it. */
function readTag(source: string, open: number): Tag {
  const begin = skipSpace(source, open + OPEN.length)
  const quoted = source[begin] === "'"
  const quote = quoted ? source.indexOf("'", begin + 1) : -1
  const close = quoted ? skipSpace(source, quote + 1) : source.indexOf(CLOSE, begin)
  if ((quoted && quote === -1) || close === -1 || !source.startsWith(CLOSE, close)) {
    const shown = showValue(source.slice(open, open + SHOWN_CHARS))
    return { problem: `the template at ${shown} is not closed by }}; write {{field}}, or {{'{{'}} for two braces` }
  }
  const end = close + CLOSE.length
  if (quoted) return { text: source.slice(begin + 1, quote), end }
  const field = source.slice(begin, close).trimEnd()
  const problem = fieldProblem(field)
  return problem === undefined ? { field, end } : { problem }
}

const SPACE = /\s*/y

function skipSpace(source: string, at: number): number {
  SPACE.lastIndex = at
  SPACE.test(source)
  return SPACE.lastIndex
}

/** Why a field can never be read; `undefined` when some run may have it. */
function fieldProblem(field: string): string | undefined {
  if (field === '') return 'a template names no field; write one, such as {{order.id}}'
  if (/[{}]/.test(field))
    return `the field ${showValue(field)} has a brace; write {{field}}, or {{'{'}} for a brace before a template`
  const dot = field.indexOf('.')
  const rest = dot === -1 ? undefined : field.slice(dot + 1)
  if (rest === undefined) return undefined
  const orElse = `or {{context.${field}}} for a key of the context`
  switch (field.slice(0, dot)) {
    case 'run':
      if (RUN_FIELDS.includes(rest)) return undefined
      return `there is no ${showValue(field)}; a run has ${RUN_FIELDS.join(', ')}; write one of them, ${orElse}`
    case 'event':
      if (rest === 'name' || rest === 'payload' || rest.startsWith('payload.')) return undefined
      return `there is no ${showValue(field)}; write {{event.name}} or {{event.payload.…}}, ${orElse}`
    case 'error':
      return `an action does not see the error; write another field, ${orElse}`
    default:
      return undefined
  }
}
