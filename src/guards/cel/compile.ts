import type { GuardScope } from '../field-path.js'
import { FUNCTIONS } from './functions.js'
import type { CelNode } from './language.js'
import { compileMacro } from './macros.js'
import type { Meter } from './meter.js'
import { indexed, negative, OPERATORS } from './operators.js'
import { macroOf } from './tree.js'
import { type CelMap, type CelValue, entryOf, Failure, isMap, kindOf } from './value.js'

/** What one evaluation works on. No two macros are ever inside each other, so there is at most one item. */
export interface Frame {
  readonly scope: GuardScope
  readonly meter: Meter
  /** The item that a macro is at. */
  item: CelValue
}

/** A part of an expression, ready to be evaluated. Throws only `StepsUsedUp`. */
export type Evaluate = (frame: Frame) => CelValue | Failure

const NOTHING: CelMap = {}

/** The declared variables. An event or error that there is none of is a map without entries. */
const VARIABLES: Readonly<Record<string, (scope: GuardScope) => CelValue>> = {
  context: ({ context }) => context,
  event: ({ event }) => (event === undefined ? NOTHING : picked(event as CelMap, ['name', 'payload'])),
  error: ({ error }) =>
    error === undefined ? NOTHING : picked(error as unknown as CelMap, ['code', 'message', 'state', 'attempt']),
}

/** The declared fields alone: an expression must not come to depend on what else the engine keeps in such an object. */
function picked(source: CelMap, fields: readonly string[]): CelMap {
  const found: Record<string, CelValue> = {}
  for (const field of fields) {
    const value = entryOf(source, field)
    if (value !== undefined) found[field] = value
  }
  return found
}

/**
 * Turns a checked expression into a function. What is refused at registration must not be in it.
 * `variable` is the name of the item, inside a macro.
 */
export function compile(node: CelNode, variable?: string): Evaluate {
  const inner = (child: CelNode) => compile(child, variable)
  switch (node.op) {
    case 'value': {
      const value = node.args as CelValue
      return () => value
    }
    case 'id':
      return compileVariable(node.args, variable)
    case '.':
      return compileField(inner(node.args[0]), node.args[1], wordsOf(node), wordsOf(node.args[0]))
    case '[]':
      return strict(node, node.args.map(inner), ([whole, at]) => indexed(whole!, at!))
    case 'list':
      return strict(node, node.args.map(inner), (items) => items)
    case 'map':
      return compileMap(node, inner)
    case '&&':
      return decidedBy(false, condition(node.args[0], variable), condition(node.args[1], variable))
    case '||':
      return decidedBy(true, condition(node.args[0], variable), condition(node.args[1], variable))
    case '?:':
      return choice(condition(node.args[0], variable), inner(node.args[1]), inner(node.args[2]))
    case '!_':
      return negated(condition(node.args, variable))
    case '-_':
      return strict(node, [inner(node.args)], ([value]) => negative(value!))
    case 'call':
    case 'rcall':
      return compileCall(node, variable)
    default:
      return compileOperator(node as CelNode & { op: '+' }, inner)
  }
}

/** An expression that must be true or false where it stands. */
export function condition(node: CelNode, variable?: string): (frame: Frame) => boolean | Failure {
  const evaluate = compile(node, variable)
  const words = wordsOf(node)
  return (frame) => {
    const value = evaluate(frame)
    if (typeof value === 'boolean' || value instanceof Failure) return value
    return new Failure(`${words} is ${kindOf(value)}, not true or false`)
  }
}

const MAX_WORDS = 60

/** The text of a part, on one line and short enough for a sentence. */
function wordsOf({ input, start, end }: CelNode): string {
  const text = input.slice(start, end).replace(/\s+/g, ' ')
  return text.length > MAX_WORDS ? `${text.slice(0, MAX_WORDS - 1)}…` : text
}

function compileVariable(name: string, variable: string | undefined): Evaluate {
  if (name === variable) return ({ item }) => item
  const read = VARIABLES[name]
  if (read === undefined) throw new Error(`no variable ${name}`)
  return ({ scope }) => read(scope)
}

function compileField(of: Evaluate, name: string, words: string, wordsOfMap: string): Evaluate {
  return (frame) => {
    const map = of(frame)
    if (map instanceof Failure) return map
    if (!isMap(map)) return new Failure(`${wordsOfMap} is ${kindOf(map)} and has no field ${name}`)
    const value = entryOf(map, name)
    return value === undefined ? new Failure(`${words} is missing`) : value
  }
}

/** Evaluates all parts first, in order; the first failure among them is the result. A failure of its own says where. */
function strict(
  node: CelNode,
  parts: readonly Evaluate[],
  compute: (values: readonly CelValue[], meter: Meter) => CelValue | Failure,
): Evaluate {
  const words = wordsOf(node)
  return (frame) => {
    const values: CelValue[] = []
    for (const part of parts) {
      const value = part(frame)
      if (value instanceof Failure) return value
      values.push(value)
    }
    const result = compute(values, frame.meter)
    return result instanceof Failure ? new Failure(`${result.reason}, in ${words}`) : result
  }
}

/** `strict` for two parts, without a list of them: most of what guards do. */
function compileOperator(node: CelNode & { op: '+' }, inner: (child: CelNode) => Evaluate): Evaluate {
  const operator = OPERATORS[node.op]
  if (operator === undefined) throw new Error(`no operator ${node.op}`)
  const [left, right] = [inner(node.args[0]), inner(node.args[1])]
  const words = wordsOf(node)
  return (frame) => {
    const a = left(frame)
    if (a instanceof Failure) return a
    const b = right(frame)
    if (b instanceof Failure) return b
    const result = operator(a, b, frame.meter)
    return result instanceof Failure ? new Failure(`${result.reason}, in ${words}`) : result
  }
}

function compileMap(node: CelNode & { op: 'map' }, inner: (child: CelNode) => Evaluate): Evaluate {
  const keys = node.args.map(([key]) => String(key.args))
  return strict(
    node,
    node.args.map(([, value]) => inner(value)),
    (values) => {
      // Without a prototype: `__proto__` is a key like any other.
      const map: Record<string, CelValue> = Object.create(null)
      for (const [index, key] of keys.entries()) map[key] = values[index]!
      return map
    },
  )
}

/** `&&` and `||`: whichever side gives `decisive` settles it, even when the other one fails. */
function decidedBy(
  decisive: boolean,
  left: (frame: Frame) => boolean | Failure,
  right: (frame: Frame) => boolean | Failure,
): Evaluate {
  return (frame) => {
    const a = left(frame)
    if (a === decisive) return a
    const b = right(frame)
    return b === decisive || !(a instanceof Failure) ? b : a
  }
}

function choice(test: (frame: Frame) => boolean | Failure, yes: Evaluate, no: Evaluate): Evaluate {
  return (frame) => {
    const chosen = test(frame)
    if (chosen instanceof Failure) return chosen
    return chosen ? yes(frame) : no(frame)
  }
}

function negated(test: (frame: Frame) => boolean | Failure): Evaluate {
  return (frame) => {
    const value = test(frame)
    return value instanceof Failure ? value : !value
  }
}

function compileCall(node: CelNode & { op: 'call' | 'rcall' }, variable: string | undefined): Evaluate {
  const macro = macroOf(node)
  if (macro) return compileMacro(macro, compile(macro.range, variable), condition)
  const isMethod = node.op === 'rcall'
  const args = isMethod ? [node.args[1], ...node.args[2]] : node.args[1]
  if (!isMethod && node.args[0] === 'has') return compileHas(args[0]!, variable)
  const compute = FUNCTIONS[isMethod ? `.${node.args[0]}` : node.args[0]]
  if (compute === undefined) throw new Error(`no function ${node.args[0]}`)
  return strict(
    node,
    args.map((arg) => compile(arg, variable)),
    compute,
  )
}

/** `has(a.b.c)`: whether there is such a field, be it null. It never fails: what lies behind a missing field is missing. */
function compileHas(path: CelNode, variable: string | undefined): Evaluate {
  const fields: string[] = []
  let node = path
  for (; node.op === '.'; node = node.args[0]) fields.unshift(node.args[1])
  const root = compile(node, variable)
  return (frame) => {
    let value: CelValue | Failure | undefined = root(frame)
    for (const field of fields) {
      if (value === undefined || value instanceof Failure || !isMap(value)) return false
      value = entryOf(value, field)
    }
    return value !== undefined
  }
}
