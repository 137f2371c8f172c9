import { type Issue, ProcessionError } from '../../src/kernel/errors.js'
import { type ParseOptions, parseProcedure } from '../../src/procedure/validate.js'

/** The document of DESIGN §2, word for word. */
export const SEED = {
  name: 'deploy_workflow',
  version: '1.0',
  description: '',
  metadata: {},
  timeout_ms: 300000,
  max_retries: 3,
  on_failure: 'rollback',
  definition: {
    initial_state: 'validate',
    context_schema: { required: ['env'], properties: { env: { type: 'string' } } },
    states: {
      validate: {
        action: { type: 'function', module: 'deploy', function: 'validate', args: [], timeout_ms: 30000 },
        retry: { max_retries: 3, backoff_ms: 1000, factor: 2, max_backoff_ms: 60000, jitter: 0, on: ['E_BUSY'] },
        timeout_ms: 60000,
        rollback: { type: 'function', module: 'deploy', function: 'undo_validate' },
        transitions: [
          { event: 'success', target: 'build', guard: { field: 'env', op: 'in', value: ['staging', 'prod'] } },
          { event: 'error', target: 'failed' },
          { event: 'timeout', target: 'failed' },
        ],
      },
      build: { action: { type: 'noop' }, transitions: [{ event: 'success', target: 'done' }] },
      failed: { outcome: 'failure' },
      done: {},
    },
  },
}

/** A document around `states`, which begins in state `a`. */
export function documentOf(states: unknown, more: object = {}): Record<string, unknown> {
  return { name: 'p', version: '1.0', definition: { initial_state: 'a', states }, ...more }
}

/** A document with one state `a` that has `action` and ends. */
export function withAction(action: unknown): Record<string, unknown> {
  return documentOf({ a: { action } })
}

/** A document with one waiting state `a` whose only transition, to itself, has `more` keys. */
export function withTransition(more: object): Record<string, unknown> {
  return documentOf({ a: { transitions: [{ event: 'e', target: 'a', ...more }] } })
}

/** The error that `parse` throws; fails the test when it throws none or another. */
export function refusalOf(parse: () => unknown): ProcessionError {
  try {
    parse()
  } catch (error) {
    if (error instanceof ProcessionError) return error
    throw error
  }
  throw new Error('the document was accepted')
}

/** The faults of a document, none when it is accepted. */
export function faultsOf(input: unknown, options: ParseOptions = { notYet: [] }): readonly Issue[] {
  try {
    parseProcedure(input, options)
    return []
  } catch (error) {
    if (error instanceof ProcessionError) return error.issues
    throw error
  }
}

/** The faults as `path code`, which is all that most tests look at. */
export function briefFaultsOf(input: unknown, options?: ParseOptions): string[] {
  return faultsOf(input, options).map(({ path, code }) => `${path} ${code}`)
}
