import { defineProcedure } from '../../src/procedure/define.js'

/** A procedure with something of everything that types are read from. */
export const order = defineProcedure({
  name: 'order',
  version: '1.2',
  definition: {
    initial_state: 'check',
    context_schema: {
      type: 'object',
      required: ['id', 'items'],
      properties: {
        id: { type: 'string' },
        items: {
          type: 'array',
          items: { required: ['sku'], properties: { sku: { type: 'string' }, price: { type: 'number' } } },
        },
        total: { type: 'number' },
      },
    },
    states: {
      check: {
        action: { module: 'shop', function: 'check', args: ['strictly', { limit: 10 }] },
        rollback: { type: 'function', module: 'shop', function: 'release', retry: { max_retries: 5 } },
        transitions: [
          { event: 'success', target: 'review' },
          { event: 'error', target: 'refused' },
        ],
      },
      review: {
        transitions: [
          {
            event: 'approve',
            target: 'approved',
            accept: ['by'],
            guard: { not: { field: 'by', op: 'eq', value: '' } },
          },
          { event: 'reject', target: 'refused' },
          { event: 'timeout', target: 'review' },
        ],
        timeout_ms: 60_000,
      },
      approved: { action: { type: 'function', module: 'mail', function: 'send', args: ['approved'] }, transitions: [] },
      refused: {
        action: { type: 'function', module: 'mail', function: 'send', args: ['refused'] },
        outcome: 'failure',
      },
    },
  },
})

/** A procedure without a schema, whose states are numbers. */
export const countdown = defineProcedure({
  name: 'countdown',
  version: '1.0',
  definition: {
    initial_state: '2',
    states: {
      2: { action: { module: 'clock', function: 'tick' }, transitions: [{ event: 'success', target: '1' }] },
      1: { action: { module: 'clock', function: 'tick', args: { last: true } } },
    },
  },
})
