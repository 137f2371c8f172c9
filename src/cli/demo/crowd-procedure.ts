import { defineProcedure } from '../../procedure/define.js'

const MODULE = { type: 'function', module: 'crowd' } as const

/** An order: checked, its items picked one by one, packed and shipped. Its actions are in crowd-actions.ts. */
export const crowdProcedure = defineProcedure({
  name: 'demo_order',
  version: '1.0',
  description: 'An order of the demo: runs of different lengths, each action a few milliseconds long',
  definition: {
    initial_state: 'check',
    states: {
      check: { action: { ...MODULE, function: 'check' }, transitions: [{ event: 'success', target: 'pick' }] },
      pick: {
        action: { ...MODULE, function: 'pick' },
        transitions: [
          { event: 'success', target: 'pick', guard: { field: 'left', op: 'gt', value: 0 } },
          { event: 'success', target: 'pack' },
        ],
      },
      pack: { action: { ...MODULE, function: 'pack' }, transitions: [{ event: 'success', target: 'ship' }] },
      ship: { action: { ...MODULE, function: 'ship' }, transitions: [{ event: 'success', target: 'done' }] },
      done: {},
    },
  },
})

const MOST_ITEMS = 8

/** The context of the `index`th order: one to eight items. */
export function orderContext(index: number): { order: number; left: number } {
  return { order: index, left: 1 + (index % MOST_ITEMS) }
}

/** The states that the definition leads an order of so many items through. */
export function orderPath(items: number): string[] {
  return ['check', ...Array<string>(items).fill('pick'), 'pack', 'ship', 'done']
}
