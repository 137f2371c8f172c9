import { LIMITS } from '../../kernel/limits.js'
import { FUNCTIONS } from './functions.js'
import { badExpression, type CelNode, characterAt, type ExpressionFault } from './language.js'
import { MAX_INT } from './operators.js'
import { childrenOf, MACRO_NAMES, macroOf } from './tree.js'
import { FIELDS, VARIABLES } from './variables.js'
import { shortened } from './words.js'

/*
 * What the language has and a guard may not: what no bound could be given to, what reads a clock, and types that JSON
 * does not have. It is a list of what is allowed, so that a new version of the library cannot add to it by itself.
 */

/** Where a node stands. */
interface Place {
  /** The name of the item, inside the body of a macro. */
  readonly item?: string
  /** List and map literals around. */
  readonly literals: number
  /** Inside a literal that becomes part of the results of `map`. */
  readonly inResult?: boolean
  /** Inside the last body of `map`. */
  readonly inMap?: boolean
}

/** The first thing in a parsed expression that a guard may not have. */
export function refusalOf(tree: CelNode): ExpressionFault | undefined {
  return refusalAt(tree, { literals: 0 })
}

function refusalAt(node: CelNode, place: Place): ExpressionFault | undefined {
  switch (node.op) {
    case 'value':
      return literalRefusal(node)
    case 'id':
      return variableRefusal(node, place)
    case '.':
      return fieldRefusal(node) ?? refusalAt(node.args[0], place)
    case 'list':
    case 'map':
      return aggregateRefusal(node, place)
    case 'call':
    case 'rcall':
      return callRefusal(node, place)
    default:
      return firstRefusal(childrenOf(node), place)
  }
}

function firstRefusal(nodes: readonly CelNode[], place: Place): ExpressionFault | undefined {
  for (const node of nodes) {
    const refusal = refusalAt(node, place)
    if (refusal) return refusal
  }
  return undefined
}

/** Only the literals of JSON, and ints of 64 bits. */
function literalRefusal({ args: value, start }: CelNode & { op: 'value' }): ExpressionFault | undefined {
  const at = characterAt(start)
  if (typeof value === 'bigint' && value > MAX_INT) return badExpression(`the number at ${at} is too large`)
  if (typeof value !== 'object' || value === null) return undefined
  const isBytes = value instanceof Uint8Array
  return badExpression(isBytes ? `write the text at ${at} without b` : `write the number at ${at} without u`)
}

function variableRefusal({ args: name, start }: CelNode & { op: 'id' }, { item, inResult }: Place) {
  const at = characterAt(start)
  if (name === item) {
    // Each `map` could nest the type of the list deeper, and the type checker keeps all types that it has seen.
    return inResult
      ? badExpression(`${shortened(name)} at ${at} cannot be put into a list or map inside map()`)
      : undefined
  }
  if (Object.hasOwn(VARIABLES, name)) return undefined
  const words = shortened(name)
  return badExpression(`'${words}' at ${at} is unknown; write context.${words}, or a field of event or error`)
}

function fieldRefusal({ args: [of, name], pos }: CelNode & { op: '.' }): ExpressionFault | undefined {
  if (of.op !== 'id' || (of.args !== 'event' && of.args !== 'error')) return undefined
  const fields = FIELDS[of.args]
  if (Object.hasOwn(fields, name)) return undefined
  const known = Object.keys(fields).join(', ')
  return badExpression(`'${shortened(name)}' at ${characterAt(pos)} is no field of ${of.args}, which has ${known}`)
}

function aggregateRefusal(node: CelNode & { op: 'list' | 'map' }, place: Place): ExpressionFault | undefined {
  const literals = place.literals + 1
  if (literals > LIMITS.expressionLiteralDepth) {
    const expected = `a CEL expression with lists and maps written at most ${LIMITS.expressionLiteralDepth} deep`
    return { fault: 'over_limit', expected }
  }
  if (node.op === 'map') {
    const other = node.args.find(([key]) => key.op !== 'value' || typeof key.args !== 'string')?.[0]
    if (other) return badExpression(`the key at ${characterAt(other.start)} must be text in quotes`)
  }
  return firstRefusal(childrenOf(node), { ...place, literals, inResult: place.inMap === true })
}

type Call = CelNode & { op: 'call' | 'rcall' }

function callRefusal(node: Call, place: Place): ExpressionFault | undefined {
  const [name] = node.args
  const macro = macroOf(node)
  if (macro) {
    if (place.item !== undefined) return badExpression(`${callAt(node)} is inside another macro; one cannot be`)
    if (Object.hasOwn(VARIABLES, macro.variable))
      return badExpression(`${callAt(node)}: ${macro.variable} is taken, name the item otherwise`)
    const body: Place = { literals: place.literals, item: macro.variable, inMap: name === 'map' }
    return refusalAt(macro.range, place) ?? firstRefusal(macro.bodies, body)
  }
  if (node.op === 'call' && name === 'has') return hasRefusal(node, place)
  if (!Object.hasOwn(FUNCTIONS, node.op === 'rcall' ? `.${name}` : name)) return unknownFunction(node)
  return firstRefusal(childrenOf(node), place)
}

function hasRefusal(node: CelNode & { op: 'call' }, place: Place): ExpressionFault | undefined {
  const [path, ...others] = node.args[1]
  let root = path
  while (root?.op === '.') root = root.args[0]
  if (path?.op === '.' && root?.op === 'id' && others.length === 0) return refusalAt(path, place)
  return badExpression(`${callAt(node)} takes one path of names, as in has(context.a.b)`)
}

function unknownFunction(node: Call): ExpressionFault {
  if (node.args[0] === 'matches') {
    return badExpression(`${callAt(node)} may take forever; use contains, startsWith or endsWith`)
  }
  const isMethod = node.op === 'rcall'
  const known = Object.keys(FUNCTIONS).filter((name) => name.startsWith('.') === isMethod)
  const names = [...(isMethod ? MACRO_NAMES : ['has']), ...known].map((name) => name.replace('.', ''))
  return badExpression(
    `${callAt(node)} does not exist; the ${isMethod ? 'methods' : 'functions'} are ${names.join(', ')}`,
  )
}

/** The name of what is called, and where it stands: a method, after what it is called on. */
function callAt(node: Call): string {
  const [name] = node.args
  const from = node.op === 'rcall' ? node.args[1].end : node.start
  return `${shortened(name)}() at ${characterAt(node.input.indexOf(name, from))}`
}
