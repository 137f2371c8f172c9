import { InvalidArgumentError } from 'commander'
import { type Issue, ProcessionError } from '../kernel/errors.js'
import type { JsonObject } from '../kernel/json.js'
import { checkContext } from '../runs/plain-json.js'
import { readSource, sourceName } from './source.js'

/** What one of many runs begins with. */
export interface ContextToStart {
  readonly context: JsonObject
  /** What messages call it: `contexts.jsonl:3`, `run 3 of 100`. */
  readonly place: string
}

/** Faults of a file that are told; the others are counted. */
const FAULTS_TOLD = 20

/** The same context, `count` times. */
export function copiesOf(context: JsonObject, count: number): ContextToStart[] {
  return Array.from({ length: count }, (_, i) => ({ context, place: `run ${i + 1} of ${count}` }))
}

/**
 * The contexts of a file, one JSON object a line; empty lines are passed over. `-` is stdin. Throws `invalid_argument` with
 * all faults and their lines, so that nothing is started from a file that has some; an unreadable file is a fault of usage.
 */
export async function contextsOfFile(file: string): Promise<ContextToStart[]> {
  const name = sourceName(file)
  const text = await readSource(file).catch((error: ProcessionError) => {
    throw new InvalidArgumentError(`--file: ${error.message}`)
  })
  const contexts: ContextToStart[] = []
  const faults: (Issue & { file: string; line: number })[] = []
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    try {
      contexts.push({ context: contextOfLine(line), place: `${name}:${i + 1}` })
    } catch (error) {
      const { code, message } = error as ProcessionError
      faults.push({ path: '', code, message, file: name, line: i + 1 })
    }
  }
  if (faults.length === 0) return contexts
  const count = faults.length === 1 ? '1 line' : `${faults.length} lines`
  const told = faults.length > FAULTS_TOLD ? `; the first ${FAULTS_TOLD} are` : ''
  throw new ProcessionError('invalid_argument', `${count} of ${name} cannot be a context; nothing was started${told}`, {
    issues: faults.slice(0, FAULTS_TOLD),
  })
}

function contextOfLine(line: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (cause) {
    throw new ProcessionError('invalid_json', `not JSON: ${(cause as Error).message}`, { cause })
  }
  return checkContext(value)
}
