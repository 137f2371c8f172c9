import type { CelNode } from './language.js'

/** The macros that go over a list, or over the keys of a map, and how many expressions each evaluates per item. */
const MACROS: Readonly<Record<string, readonly number[]>> = {
  all: [1],
  exists: [1],
  exists_one: [1],
  filter: [1],
  map: [1, 2],
}

export const MACRO_NAMES: readonly string[] = Object.keys(MACROS)

export interface Macro {
  readonly name: string
  /** What it goes over. */
  readonly range: CelNode
  /** The name of the item, in the bodies. */
  readonly variable: string
  /** What is evaluated for every item: a predicate, a result, or both. */
  readonly bodies: readonly CelNode[]
}

/** The parts of a macro such as `context.items.all(x, x > 1)`, or `undefined` for any other node. */
export function macroOf(node: CelNode): Macro | undefined {
  if (node.op !== 'rcall') return undefined
  const [name, range, [variable, ...bodies]] = node.args
  const isMacro = Object.hasOwn(MACROS, name) && MACROS[name]?.includes(bodies.length)
  return isMacro && variable?.op === 'id' ? { name, range, variable: variable.args, bodies } : undefined
}

/** The nodes directly below `node`, in the order of the text. */
export function childrenOf(node: CelNode): readonly CelNode[] {
  switch (node.op) {
    case 'value':
    case 'id':
      return []
    case '.':
    case '.?':
      return [node.args[0]]
    case '!_':
    case '-_':
      return [node.args]
    case 'call':
      return node.args[1]
    case 'rcall':
      return [node.args[1], ...node.args[2]]
    case 'map':
      return node.args.flat()
    default:
      return node.args
  }
}

/** How many nodes there are from `node` down, itself included. */
export function nodesIn(node: CelNode): number {
  return childrenOf(node).reduce((sum, child) => sum + nodesIn(child), 1)
}
