import fc from 'fast-check'
import type { JsonObject } from '../../src/kernel/json.js'

/*
 * Expressions whose types are right as far as the type checker can see, over a context that fits them or does not.
 */

interface Grammar {
  bool: string
  number: string
  text: string
  list: string
}

const orders = fc.constantFrom('==', '!=', '<', '<=', '>', '>=')

const grammar = fc.letrec<Grammar>((tie) => {
  const part = (name: keyof Grammar) => tie(name) as fc.Arbitrary<string>
  const [bool, number, text, list] = [part('bool'), part('number'), part('text'), part('list')]
  const joined = (parts: readonly string[]) => `(${parts.join(' ')})`
  const choice = (of: fc.Arbitrary<string>) => fc.tuple(bool, of, of).map(([c, yes, no]) => `(${c} ? ${yes} : ${no})`)
  const bounds = { maxDepth: 3, depthSize: 'small' } as const
  return {
    bool: fc.oneof(
      bounds,
      fc.constantFrom('context.yes', 'has(context.n)', 'has(context.deep.missing)', 'true', 'context.n == context.s'),
      // An int and a double that are both known are no operands for the type checker.
      fc.tuple(number, orders, number).map(([left, op, right]) => `dyn(${left}) ${op} ${right}`),
      fc.tuple(text, orders, text).map(joined),
      fc.tuple(list, fc.constantFrom('==', '!='), list).map(([left, op, right]) => `dyn(${left}) ${op} ${right}`),
      fc.tuple(number, list).map(([item, whole]) => `dyn(${item}) in ${whole}`),
      fc.tuple(bool, fc.constantFrom('&&', '||'), bool).map(joined),
      bool.map((inner) => `!(${inner})`),
      fc
        .tuple(text, fc.constantFrom('contains', 'startsWith', 'endsWith'), text)
        .map(([whole, method, part]) => `${whole}.${method}(${part})`),
      fc
        .tuple(list, fc.constantFrom('all', 'exists', 'exists_one'), orders, fc.constantFrom('0', '1', 'context.n'))
        .map(([whole, macro, op, right]) => `${whole}.${macro}(x, dyn(x) ${op} ${right})`),
      fc
        .tuple(fc.constantFrom('all', 'exists', 'exists_one'), orders, fc.constantFrom('0', '1', 'context.n'))
        .map(([macro, op, right]) => `context.o.${macro}(x, x.p ${op} ${right})`),
    ),
    number: fc.oneof(
      bounds,
      fc.constantFrom(
        'context.n',
        'context.m',
        '0',
        '1',
        '2',
        '7',
        '0.5',
        '1.0',
        '2.5',
        '-1',
        'context.l[0]',
        'context.deep.n',
      ),
      fc.tuple(number, fc.constantFrom('+', '-', '*', '/', '%'), number).map(joined),
      choice(number.map((inner) => `dyn(${inner})`)),
      number.map((inner) => `(-${inner})`),
      fc.oneof(list, text).map((inner) => `size(${inner})`),
      fc.tuple(text, text).map(([whole, part]) => `${whole}.indexOf(${part})`),
      number.map((inner) => `int(${inner})`),
      number.map((inner) => `double(${inner})`),
    ),
    text: fc.oneof(
      bounds,
      fc.constantFrom('context.s', 'context.t', "''", "'a'", "'b,a'", "context.deep['s']"),
      fc.tuple(text, text).map(([left, right]) => `(${left} + ${right})`),
      choice(text),
      fc
        .tuple(text, fc.constantFrom('lowerAscii()', 'upperAscii()', 'trim()', 'substring(1)', 'substring(0, 1)'))
        .map(([inner, call]) => `${inner}.${call}`),
      fc.oneof(number, bool, text).map((inner) => `string(${inner})`),
      text.map((inner) => `${inner}.split(',').join('-')`),
    ),
    list: fc.oneof(
      bounds,
      fc.constantFrom('context.l', '[]', '[0, 1]', '[1.0, 2.5]', 'dyn([1, 2])'),
      fc.tuple(number, number).map(([first, last]) => `[${first}, ${last}]`),
      fc.tuple(list, list).map(([left, right]) => `(dyn(${left}) + dyn(${right}))`),
      fc.tuple(list, number).map(([whole, by]) => `${whole}.map(x, dyn(x) + dyn(${by}))`),
      fc.tuple(list, orders).map(([whole, op]) => `${whole}.filter(x, dyn(x) ${op} 1)`),
    ),
  }
})

/** An expression that gives true or false, or fails. */
export const expressions: fc.Arbitrary<string> = grammar.bool

const number = fc.oneof(fc.constantFrom(0, 1, 2, -1, 0.5, 7), fc.integer({ min: -3, max: 3 }))
const text = fc.constantFrom('', 'a', 'A', 'b,a', ' a', 'ab')

/** Contexts that the expressions speak of; now and then something is missing or of another type. */
export const contexts: fc.Arbitrary<JsonObject> = fc.record(
  {
    n: fc.oneof({ weight: 9, arbitrary: number }, { weight: 1, arbitrary: fc.constant('a') }),
    m: number,
    s: fc.oneof({ weight: 9, arbitrary: text }, { weight: 1, arbitrary: fc.constant(null) }),
    t: text,
    yes: fc.boolean(),
    l: fc.array(number, { maxLength: 4 }),
    o: fc.array(fc.record({ p: number }, { requiredKeys: [] }), { maxLength: 3 }),
    deep: fc.record({ n: number, s: text }),
  },
  { requiredKeys: ['m', 't', 'yes', 'l', 'o', 'deep'] },
)
