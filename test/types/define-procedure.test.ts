import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseProcedure } from '../../src/procedure/validate.js'
import { refusalOf, SEED } from '../procedure/documents.js'
import { procedureDocument } from '../support/procedures.arbitrary.js'
import { type Compilation, compile, importOf } from './compiler.js'
import { WRONG_DOCUMENTS } from './wrong-documents.js'

const COMPILE_MS = 120_000
const IMPORT = importOf('procedure/define.js', 'defineProcedure')
const examples = new URL('../../examples/', import.meta.url)

/** A file that defines the document in `text`, and where in it the mark `«…»` begins. */
function fileOf(text: string): { file: string; line: number; column: number } {
  const whole = `${IMPORT}defineProcedure(${text})\n`
  const before = whole.slice(0, whole.indexOf('«')).split('\n')
  return { file: whole.replace(/[«»]/g, ''), line: before.length, column: before.at(-1)!.length + 1 }
}

/** JSON as an expression, in which `__proto__` as a plain key would be no property. */
const expressionOf = (value: unknown) => JSON.stringify(value).replaceAll('"__proto__":', '["__proto__"]:')

/** Files named `<prefix>-<index>.mts`. */
const numbered = (prefix: string, files: readonly string[]) =>
  Object.fromEntries(files.map((file, index) => [`${prefix}-${index}.mts`, file]))

/** A procedure of `count` states, all but the last two with an action and three transitions. */
function longProcedure(count: number): string {
  const last = count - 2
  const states = Array.from({ length: last }, (_, index) => {
    const action = `{ type: 'function', module: 'm${index % 9}', function: 'f${index}', args: [${index}] }`
    const transitions = [
      `{ event: 'success', target: 's${index + 1}', guard: { not: { field: 'n', op: 'gt', value: ${index} } } }`,
      `{ event: 'go${index % 40}', target: 's${(index * 7) % last}' }`,
      `{ event: 'error', target: 'failed' }`,
    ]
    return `s${index}: { action: ${action}, transitions: [${transitions}] },\n`
  })
  const definition = `{ initial_state: 's0', states: { ${states.join('')} s${last}: {}, failed: { outcome: 'failure' } } }`
  return `{ name: 'long', version: '1.0', definition: ${definition} }`
}

const ORDER = `${IMPORT}export const order = defineProcedure({ name: 'order', version: '1.0', definition: {
  initial_state: 'open',
  context_schema: { required: ['id'], properties: { id: { type: 'string' }, note: { type: 'string' } } },
  states: { open: { transitions: [{ event: 'close', target: 'closed' }] }, closed: {} } } })\n`

const ORDER_USER = `import type { order } from './order.mjs'
${importOf('procedure/typed-context.js', 'type ContextOf')}
${importOf('procedure/typed-names.js', 'type EventNames, type StateNames')}
export const names: [StateNames<typeof order>, EventNames<typeof order>] = ['closed', 'close']
export const context: ContextOf<typeof order> = { id: '1' }
export const wrong: StateNames<typeof order> = 'shut'\n`

const wrong = WRONG_DOCUMENTS.map(({ document }) => fileOf(document))
const accepted = [
  SEED,
  ...readdirSync(examples)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(new URL(name, examples), 'utf8')) as unknown),
  ...fc.sample(procedureDocument, { numRuns: 40, seed: 1 }),
]
const longRight = longProcedure(1_000)
const longWrong = fileOf(longProcedure(200).replace(`target: 's150'`, `«target»: 's510'`))

let strict: Compilation
let exact: Compilation
beforeAll(async () => {
  const files = {
    ...numbered(
      'wrong',
      wrong.map(({ file }) => file),
    ),
    ...numbered(
      'accepted',
      accepted.map((document) => fileOf(expressionOf(document)).file),
    ),
  }
  const more = { 'order.mts': ORDER, 'long-right.mts': fileOf(longRight).file, 'long-wrong.mts': longWrong.file }
  strict = await compile({ ...files, ...more })
  exact = await compile(
    { ...files, 'order.d.mts': strict.declarations('order.mts'), 'user.mts': ORDER_USER },
    { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
  )
}, COMPILE_MS)
afterAll(() => {
  strict?.remove()
  exact?.remove()
})

/** The errors in files whose names begin with `prefix`. */
const errorsIn = (compilation: Compilation, prefix: string) =>
  compilation.diagnostics.filter(({ file }) => file.startsWith(prefix))

describe('defineProcedure refuses, where it stands and as registration does,', () => {
  it.each(WRONG_DOCUMENTS.map(({ what }, index) => [what, index] as const))('%s', (_what, index) => {
    const { document, says } = WRONG_DOCUMENTS[index]!
    const { line, column } = wrong[index]!
    const expected = [{ line, column, message: expect.stringContaining(says) }]
    expect(errorsIn(strict, `wrong-${index}.mts`)).toMatchObject(expected)
    expect(errorsIn(exact, `wrong-${index}.mts`)).toMatchObject(expected)
    const given: unknown = new Function(`return ${document.replace(/[«»]|as const/g, '')}`)()
    expect(refusalOf(() => parseProcedure(given)).code).toBe('invalid_schema')
  })
})

describe('defineProcedure accepts', () => {
  it('whatever registration accepts', () => {
    for (const document of accepted) expect(() => parseProcedure(document, { notYet: [] })).not.toThrow()
    expect(errorsIn(strict, 'accepted')).toEqual([])
    expect(errorsIn(exact, 'accepted')).toEqual([])
  })

  it('1,000 states', () => {
    expect(parseProcedure(new Function(`return ${longRight}`)()).warnings).toEqual([])
    expect(errorsIn(strict, 'long-right')).toEqual([])
  })
})

describe('a typed procedure', () => {
  it('of 200 states shows the one target that is not there', () => {
    const { line, column } = longWrong
    expect(errorsIn(strict, 'long-wrong')).toMatchObject([
      { line, column, message: expect.stringContaining('Did you mean') },
    ])
  })

  it('keeps its names and its context in emitted declarations', () => {
    expect(errorsIn(strict, 'order')).toEqual([])
    expect(errorsIn(exact, 'user').map(({ message }) => message)).toEqual([
      `Type '"shut"' is not assignable to type '"closed" | "open"'.`,
    ])
  })
})
