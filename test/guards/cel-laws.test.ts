import { Environment } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Condition, conditionHolds } from '../../src/guards/condition.js'
import { evaluateGuard } from '../../src/guards/evaluate.js'
import type { GuardScope } from '../../src/guards/field-path.js'
import { guardSchema } from '../../src/guards/guard.js'
import type { Json, JsonObject } from '../../src/kernel/json.js'
import { contexts, expressions } from './cel-expressions.arbitrary.js'

const isAccepted = (text: string) => guardSchema.safeParse(text).success

/** Texts that are hardly ever right, of the signs and words of the language. */
const noise = fc.oneof(
  fc.string(),
  fc
    .array(
      fc.constantFrom(
        ...'()[]{}.,:?+-*/!"\'\n 10',
        '==',
        '&&',
        '||',
        'in',
        'context',
        'event',
        '.n',
        'has',
        'size',
        '.all',
      ),
    )
    .map((parts) => parts.join('')),
)

const scalars = fc.constantFrom<Json>(0, 1, 2, -1, 0.5, '', 'a', 'ab', '1', true, false, null)
const values = fc.oneof(
  scalars,
  fc.constantFrom<Json>([], [1, 'a'], {}, { a: 1 }),
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
)

describe('laws', () => {
  it('whatever the schema accepts is decided without an exception, alike each time, and leaves the scope alone', () => {
    const hostile = fc.dictionary(
      fc.constantFrom('n', 's', 'l', '__proto__', 'constructor'),
      values,
    ) as fc.Arbitrary<JsonObject>
    const scopes: fc.Arbitrary<GuardScope> = fc.record(
      {
        context: fc.oneof(contexts, hostile),
        event: fc.record({ name: fc.string(), payload: values }, { requiredKeys: ['name'] }),
        error: fc.record({ code: fc.string(), message: fc.string() }),
      },
      { requiredKeys: ['context'] },
    )
    let accepted = 0
    fc.assert(
      fc.property(fc.oneof({ weight: 2, arbitrary: expressions }, noise), scopes, (text, scope) => {
        const before = JSON.stringify(scope)
        const verdict = evaluateGuard(text, scope)
        expect(evaluateGuard(text, scope)).toEqual(verdict)
        expect(evaluateGuard(text, JSON.parse(before))).toEqual(verdict)
        expect(JSON.stringify(scope)).toBe(before)
        if (verdict.failure !== undefined)
          expect(verdict).toEqual({ holds: false, failure: expect.stringMatching(/^[^\n]+$/) })
        const negated = evaluateGuard({ not: text }, scope)
        expect(negated).toEqual(verdict.failure === undefined ? { holds: !verdict.holds } : verdict)
        if (isAccepted(text)) accepted++
        else expect(verdict.failure).toBeDefined()
      }),
      { numRuns: 1_000 },
    )
    expect(accepted).toBeGreaterThan(400)
  })

  it('a condition comes to the same as the expression that says it', () => {
    const written: Record<string, (value: string) => string> = {
      eq: (value) => `has(context.a) && context.a == ${value}`,
      ne: (value) => `!has(context.a) || context.a != ${value}`,
      in: (value) => `has(context.a) && context.a in ${value}`,
      exists: () => 'has(context.a)',
      gt: (value) => `context.a > ${value}`,
      lte: (value) => `context.a <= ${value}`,
    }
    const constants = (op: string): fc.Arbitrary<Json> => {
      if (op === 'in') return fc.array(scalars, { maxLength: 4 })
      return op === 'gt' || op === 'lte' ? fc.constantFrom(0, 1, 0.5, '', 'a') : scalars
    }
    const cases = fc
      .constantFrom(...Object.keys(written))
      .chain((op) => fc.record({ op: fc.constant(op), value: constants(op) }))
    const context = fc.record({ a: values, b: values }, { requiredKeys: [] }) as fc.Arbitrary<JsonObject>
    fc.assert(
      fc.property(cases, context, ({ op, value }, context) => {
        const condition = { field: 'a', op, ...(op !== 'exists' && { value }) } as Condition
        const text = written[op]!(JSON.stringify(value))
        expect(isAccepted(text)).toBe(true)
        expect(evaluateGuard(text, { context }).holds).toBe(conditionHolds(condition, { context }))
      }),
      { numRuns: 1_000 },
    )
  })

  it('comes to the same as the evaluation of the library, where there is one', () => {
    const library = libraryEnvironment()
    let decided = 0
    fc.assert(
      fc.property(expressions, contexts, (text, context) => {
        if (!isAccepted(text)) return
        const ours = evaluateGuard(text, { context })
        // Ours alone: zero divides no double either, nothing is infinite, and has() looks as deep as one likes.
        if ((ours.failure !== undefined && /[/%*]/.test(text)) || text.includes('deep.missing')) return
        const theirs = evaluateWith(library, text, context)
        if (typeof theirs === 'boolean') decided++
        expect(ours).toEqual(
          typeof theirs === 'boolean' ? { holds: theirs } : { holds: false, failure: expect.any(String) },
        )
      }),
      { numRuns: 1_500 },
    )
    expect(decided).toBeGreaterThan(500)
  })
})

function evaluateWith(library: Environment, text: string, context: JsonObject): unknown {
  try {
    return library.evaluate(text, { context })
  } catch {
    return undefined
  }
}

/** The library as it would have to be used: the same variables, and arithmetic of ints with doubles. */
function libraryEnvironment(): Environment {
  const library = new Environment({ homogeneousAggregateLiterals: false })
  library.registerVariable('context', 'map<string, dyn>')
  const compute: Record<string, (left: number, right: number) => number> = {
    '+': (left, right) => left + right,
    '-': (left, right) => left - right,
    '*': (left, right) => left * right,
    '/': (left, right) => left / right,
    '%': (left, right) => left % right,
  }
  for (const [operator, of] of Object.entries(compute)) {
    library.registerOperator(`int ${operator} double: double`, (left, right) => of(Number(left), right))
    library.registerOperator(`double ${operator} int: double`, (left, right) => of(left, Number(right)))
  }
  library.registerOperator('double % double: double', (left, right) => left % right)
  return library
}
