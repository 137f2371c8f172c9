import type { Condition, Evaluate, Words } from './frame.js'
import { FUNCTIONS } from './functions.js'
import type { CelNode } from './language.js'
import { collected, existsOne, type Loop, quantified } from './macros.js'
import type { Meter } from './meter.js'
import { indexed, negative, OPERATORS } from './operators.js'
import { type Macro, macroOf, nodesIn } from './tree.js'
import { type CelValue, entryOf, Failure, isMap, kindOf } from './value.js'
import { VARIABLES } from './variables.js'
import { shortened } from './words.js'

/**
 * Turns an expression into a function that decides it. Nothing in it may be of what registration refuses; it throws
 * when there is. `item` is the name of the macro's item, inside a macro.
 */
export function compileCondition(node: CelNode, item?: string): Condition {
  const evaluate = compile(node, item)
  const words = wordsOf(node)
  return (frame) => {
    const value = evaluate(frame)
    if (typeof value === 'boolean' || value instanceof Failure) return value
    return new Failure(`${words()} is ${kindOf(value)}, not true or false`)
  }
}

function compile(node: CelNode, item?: string): Evaluate {
  const inner = (child: CelNode) => compile(child, item)
  const test = (child: CelNode) => compileCondition(child, item)
  switch (node.op) {
    case 'value':
      return always(node.args as CelValue)
    case 'id':
      return node.args === item ? (frame) => frame.item : compileVariable(node.args)
    case '.':
      return compileField(node, inner(node.args[0]))
    case '[]':
      return strict(node, node.args.map(inner), ([whole, at]) => indexed(whole!, at!))
    case 'list':
      return strict(node, node.args.map(inner), (items) => items)
    case 'map':
      return compileMap(node, inner)
    case '&&':
      return decidedBy(false, test(node.args[0]), test(node.args[1]))
    case '||':
      return decidedBy(true, test(node.args[0]), test(node.args[1]))
    case '?:':
      return choice(test(node.args[0]), inner(node.args[1]), inner(node.args[2]))
    case '!_':
      return negated(test(node.args))
    case '-_':
      return strict(node, [inner(node.args)], ([value]) => negative(value!))
    case 'call':
    case 'rcall':
      return compileCall(node, item)
    case '.?':
    case '[?]':
      throw new Error('optional values are switched off')
    default:
      return compileOperator(node.op, wordsOf(node), inner(node.args[0]), inner(node.args[1]))
  }
}

/** The text of a part, for a failure: on one line, short, and only worked out when there is one. Keeps no node alive. */
function wordsOf({ input, start, end }: CelNode): Words {
  return () => shortened(input.slice(start, end))
}

function always(value: CelValue): Evaluate {
  return () => value
}

function compileVariable(name: string): Evaluate {
  const read = VARIABLES[name]
  if (read === undefined) throw new Error(`there is no variable ${name}`)
  return ({ scope }) => read(scope)
}

function compileField(node: CelNode & { op: '.' }, of: Evaluate): Evaluate {
  const [words, wordsOfMap, name] = [wordsOf(node), wordsOf(node.args[0]), node.args[1]]
  return (frame) => {
    const map = of(frame)
    if (map instanceof Failure) return map
    if (!isMap(map)) return new Failure(`${wordsOfMap()} is ${kindOf(map)} and has no field ${shortened(name)}`)
    const value = entryOf(map, name)
    return value === undefined ? new Failure(`${words()} is missing`) : value
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
    return placed(compute(values, frame.meter), words)
  }
}

/** `strict` for two parts, without a list of them: most of what guards do. */
function compileOperator(name: string, words: Words, left: Evaluate, right: Evaluate): Evaluate {
  const operator = OPERATORS[name]
  if (operator === undefined) throw new Error(`there is no operator ${name}`)
  return (frame) => {
    const a = left(frame)
    if (a instanceof Failure) return a
    const b = right(frame)
    if (b instanceof Failure) return b
    return placed(operator(a, b, frame.meter), words)
  }
}

const placed = (result: CelValue | Failure, words: Words) =>
  result instanceof Failure ? new Failure(`${result.reason}, in ${words()}`) : result

function compileMap(node: CelNode & { op: 'map' }, inner: (child: CelNode) => Evaluate): Evaluate {
  const keys = node.args.map(([key]) => String(key.args))
  const values = node.args.map(([, value]) => inner(value))
  return strict(node, values, (found) => {
    // Without a prototype `__proto__` is a key like any other.
    const map: Record<string, CelValue> = Object.create(null)
    for (const [index, key] of keys.entries()) map[key] = found[index]!
    return map
  })
}

/** `&&` and `||`: whichever side gives `decisive` settles it, even when the other one fails. */
function decidedBy(decisive: boolean, left: Condition, right: Condition): Evaluate {
  return (frame) => {
    const a = left(frame)
    if (a === decisive) return a
    const b = right(frame)
    return b === decisive || !(a instanceof Failure) ? b : a
  }
}

function choice(test: Condition, yes: Evaluate, no: Evaluate): Evaluate {
  return (frame) => {
    const chosen = test(frame)
    if (chosen instanceof Failure) return chosen
    return chosen ? yes(frame) : no(frame)
  }
}

function negated(test: Condition): Evaluate {
  return (frame) => {
    const value = test(frame)
    return value instanceof Failure ? value : !value
  }
}

function compileCall(node: CelNode & { op: 'call' | 'rcall' }, item: string | undefined): Evaluate {
  const macro = macroOf(node)
  if (macro) return compileMacro(macro, compile(macro.range, item))
  if (node.op === 'call' && node.args[0] === 'has') return compileHas(node.args[1][0]!, item)
  const name = node.op === 'rcall' ? `.${node.args[0]}` : node.args[0]
  const args = node.op === 'rcall' ? [node.args[1], ...node.args[2]] : node.args[1]
  const compute = FUNCTIONS[name]
  if (compute === undefined) throw new Error(`there is no function ${name}`)
  const compiled = args.map((arg) => compile(arg, item))
  return strict(node, compiled, compute)
}

/** `has(a.b.c)`: whether there is such a field, be it null. It never fails: what lies behind a missing field is missing. */
function compileHas(path: CelNode, item: string | undefined): Evaluate {
  const fields: string[] = []
  let node = path
  for (; node.op === '.'; node = node.args[0]) fields.unshift(node.args[1])
  const root = compile(node, item)
  return (frame) => {
    let value: CelValue | Failure | undefined = root(frame)
    for (const field of fields) {
      if (value === undefined || value instanceof Failure || !isMap(value)) return false
      value = entryOf(value, field)
    }
    return value !== undefined
  }
}

function compileMacro({ name, range, variable, bodies }: Macro, items: Evaluate): Evaluate {
  const cost = bodies.reduce((sum, body) => sum + nodesIn(body), 0)
  const loop: Loop = { range: items, words: wordsOf(range), cost }
  const [first, last] = [bodies[0]!, bodies.at(-1)!]
  switch (name) {
    case 'all':
      return quantified(loop, compileCondition(first, variable), false)
    case 'exists':
      return quantified(loop, compileCondition(first, variable), true)
    case 'exists_one':
      return existsOne(loop, compileCondition(first, variable))
    case 'filter':
      return collected(loop, compileCondition(first, variable), (frame) => frame.item)
    case 'map':
      return collected(loop, first === last ? undefined : compileCondition(first, variable), compile(last, variable))
    default:
      throw new Error(`there is no macro ${name}`)
  }
}
