import { readField } from '../../../guards/field-path.js'
import { NonRetryableError } from '../../../kernel/errors.js'
import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.js'
import { formatPath, type Path } from '../../../procedure/fault-list.js'
import { parseTemplate, type TemplatePart } from '../../../procedure/template.js'
import type { ActionInfo } from '../../action.js'

/** What a template can see; see `procedure/template.ts` for the words. */
export interface TemplateScope {
  readonly context: JsonObject
  readonly event: ActionInfo['event']
  readonly run: JsonObject & { readonly idempotency_key: string }
}

/** The scope of one attempt. */
export function templateScope(context: JsonObject, info: ActionInfo): TemplateScope {
  const { runId: id, state, revision, attempt, idempotencyKey: idempotency_key, compensates: undone } = info
  const compensates = undone && {
    state: undone.state,
    revision: undone.revision,
    idempotency_key: undone.idempotencyKey,
  }
  const run = { id, state, revision, attempt, idempotency_key, ...(compensates && { compensates }) }
  return { context, event: info.event, run }
}

/**
 * Where rendered text goes, and how much may still be added: values repeat as often as a document names them, so the
 * result is bounded while it grows.
 */
export class Room {
  readonly where: string
  readonly #maxChars: number
  #chars = 0

  /** `where` is a place in the action, e.g. `url`; it begins the messages of failures. */
  constructor(where: Path, maxChars: number) {
    this.where = formatPath(where)
    this.#maxChars = maxChars
  }

  take(chars: number): void {
    this.#chars += chars
    if (this.#chars > this.#maxChars)
      throw templateInvalid(this.where, `it is longer than ${this.#maxChars} characters once its fields are filled in`)
  }
}

/** A final `template_invalid`; `where` is the place in the action. Values are not told: they may be secrets. */
export function templateInvalid(where: string, why: string): NonRetryableError {
  return new NonRetryableError(`${where}: ${why}; nothing was sent`, 'template_invalid')
}

/** The parts of a string that registration has checked. */
export function partsOf(source: string, where: string): readonly TemplatePart[] {
  const { parts, problem } = parseTemplate(source)
  if (problem !== undefined) throw templateInvalid(where, problem)
  return parts
}

/**
 * The text of a template: fields are strings, numbers or booleans, each passed through `encode`.
 * Throws `template_invalid` for a field that is missing, null, an array or an object.
 */
export function renderText(
  parts: readonly TemplatePart[],
  scope: TemplateScope,
  room: Room,
  encode: (value: string) => string = (value) => value,
): string {
  let text = ''
  for (const part of parts) {
    const piece = 'text' in part ? part.text : encode(readText(part.field, scope, room.where))
    room.take(piece.length)
    text += piece
  }
  return text
}

/**
 * A JSON value with every string of it rendered. A string that is nothing but `{{field}}` becomes the field's value with
 * its type; any other is text as {@link renderText} makes it. Keys are taken as they are.
 */
export function renderJson(value: Json, scope: TemplateScope, at: Path, room: Room): Json {
  if (typeof value === 'string') {
    const parts = partsOf(value, formatPath(at))
    const [only, ...more] = parts
    if (only === undefined || more.length > 0 || 'text' in only) return renderText(parts, scope, room)
    const found = readValue(only.field, scope, formatPath(at))
    room.take(JSON.stringify(found).length)
    return found
  }
  if (Array.isArray(value)) return value.map((item, index) => renderJson(item, scope, [...at, index], room))
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, renderJson(item, scope, [...at, key], room)]),
  )
}

function readValue(field: string, scope: TemplateScope, where: string): Json {
  const run = field.startsWith('run.') ? scope.run : undefined
  const found = run ? readField({ context: run }, field.slice('run.'.length)) : readField(scope, field)
  if (found === undefined) throw templateInvalid(where, `the field ${JSON.stringify(field)} is missing`)
  return found
}

function readText(field: string, scope: TemplateScope, where: string): string {
  const value = readValue(field, scope, where)
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const kind = value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object'
  throw templateInvalid(where, `the field ${JSON.stringify(field)} is ${kind}, which is no text`)
}
