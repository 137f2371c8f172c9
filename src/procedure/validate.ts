import { accepts } from '../guards/verdict.js'
import { type Issue, ProcessionError } from '../kernel/errors.js'
import { jsonTextDepth } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import type { Procedure } from './definition.js'
import { FaultList, type Path } from './fault-list.js'
import { checkJson } from './json-document.js'
import { lineAndColumn, scanJsonText } from './json-text.js'
import { addMeaningFaults } from './meaning.js'
import { addNotYetFaults, NOT_YET, type NotYetRow } from './not-yet.js'
import { ownValue, placesOf } from './places.js'
import { procedureSchema } from './schema.js'
import { showValue } from './show-value.js'
import { warningsOf } from './warnings.js'
import { addZodFaults } from './zod-faults.js'

/** A document that may be registered. */
export interface ParsedProcedure {
  /** A copy of the document as given: no defaults filled in, nothing of the input shared. */
  readonly procedure: Procedure
  /** What is allowed but looks like a mistake; see `warningsOf`. */
  readonly warnings: readonly Issue[]
}

export interface ParseOptions {
  /** What is refused as `not_supported_yet`; by default the table in `not-yet.ts`. */
  readonly notYet?: readonly NotYetRow[]
}

/** Text may be this much longer than the document in it, for its white space. */
const TEXT_FACTOR = 4

/** Faults that the message of the error itself tells; `issues` has them all. */
const FAULTS_IN_MESSAGE = 3

/**
 * Checks a procedure document and returns a copy of it with warnings.
 *
 * Throws `invalid_schema` with every fault at once in `issues`, each located (`path` into the document, empty for the
 * document itself), with a stable code and a sentence that names the value and the remedy; `not_supported_yet` when
 * nothing else is wrong than features that do not work yet. No more than 500 faults are kept.
 * Pure, and bounded for whatever is given: cycles, excessive depth or size are faults like any other.
 */
export function parseProcedure(input: unknown, options: ParseOptions = {}): ParsedProcedure {
  return check(input, options, [])
}

/**
 * Checks the text of a procedure document, as `parseProcedure` does.
 * Throws also `invalid_json`, with line and column, and reports keys that one object gives twice (`duplicate_key`):
 * `JSON.parse` would silently lose the first of two states of one name. A byte order mark is skipped.
 */
export function parseProcedureText(text: string, options: ParseOptions = {}): ParsedProcedure {
  if (typeof text !== 'string') {
    throw new ProcessionError(
      'invalid_argument',
      `found ${showValue(text)}; expected the text of a procedure, a string`,
    )
  }
  const json = text.startsWith('\ufeff') ? text.slice(1) : text
  const bytes = Buffer.byteLength(json)
  const maxBytes = TEXT_FACTOR * LIMITS.definitionBytes
  if (bytes > maxBytes) throw refusedWhole(`the text is ${bytes} bytes long; at most ${maxBytes} are allowed`)
  const depth = jsonTextDepth(json)
  if (depth > LIMITS.jsonDepth)
    throw refusedWhole(`the text is nested ${depth} deep; at most ${LIMITS.jsonDepth} levels are allowed`)
  const { fault, duplicates } = scanJsonText(json)
  if (fault) {
    const { line, column } = lineAndColumn(json, fault.offset)
    const message = `line ${line}, column ${column}: ${fault.problem}; correct the JSON there`
    throw new ProcessionError('invalid_json', message, { issues: [{ path: '', code: 'invalid_json', message }] })
  }
  return check(JSON.parse(json), options, duplicates)
}

function check(input: unknown, options: ParseOptions, duplicates: readonly Path[]): ParsedProcedure {
  const faults = new FaultList()
  if (!checkJson(input, faults)) throw refused(input, faults)
  const text = faults.total === 0 ? textWithinBound(input) : undefined
  if (text === undefined || !accepts(procedureSchema, input)) {
    const parsed = procedureSchema.safeParse(input, { reportInput: true })
    if (!parsed.success) addZodFaults(parsed.error, faults)
  }
  for (const path of duplicates) {
    faults.add(path, 'duplicate_key', () => `${showValue(path.at(-1))} stands here twice; remove or rename one of them`)
  }
  const places = placesOf(input)
  addMeaningFaults(input, places, faults)
  addNotYetFaults(places, options.notYet ?? NOT_YET, faults)
  if (text === undefined || faults.total > 0) throw refused(input, faults)
  // A copy through the text, which keeps an own `__proto__` key where a spread or zod's output would lose it.
  const procedure: Procedure = JSON.parse(text)
  return { procedure, warnings: warningsOf(procedure) }
}

/** The text of a document that is JSON; refuses one that is longer than a definition may be. */
function textWithinBound(document: unknown): string {
  const text = JSON.stringify(document)
  const bytes = Buffer.byteLength(text)
  if (bytes <= LIMITS.definitionBytes) return text
  throw refusedWhole(`the document is ${bytes} bytes of JSON; at most ${LIMITS.definitionBytes} are allowed`)
}

function refused(input: unknown, faults: FaultList): ProcessionError {
  const { issues, total } = faults
  const onlyNotYet = issues.every((issue) => issue.code === 'not_supported_yet')
  const told = issues
    .slice(0, FAULTS_IN_MESSAGE)
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  const more = total > told.length ? `; and ${total - told.length} more` : ''
  const name = ownValue(input, 'name')
  const subject = typeof name === 'string' ? `procedure ${showValue(name)}` : 'the procedure'
  const count = total === 1 ? '1 fault' : `${total} faults`
  return new ProcessionError(
    onlyNotYet ? 'not_supported_yet' : 'invalid_schema',
    `${subject} is refused, ${count}: ${told.join('; ')}${more}`,
    { issues },
  )
}

function refusedWhole(message: string): ProcessionError {
  return new ProcessionError('invalid_schema', message, { issues: [{ path: '', code: 'over_limit', message }] })
}
