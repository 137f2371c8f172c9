import type { Redis } from 'ioredis'
import { type ActionInfo, type ActionModules, emit } from '../../src/actions/action.js'
import type { Role } from './scenario.js'

/** Where each begun attempt leaves `<visit's key> <attempt> <role>`. */
export function effectsKey(prefix: string): string {
  return `${prefix}-effects`
}

const LONG_MS = 900

/** The actions of all scenarios. `client` is a connection of their own. */
export function crashPointActions(client: Redis, prefix: string, role: Role): ActionModules {
  const leaveEffect = ({ idempotencyKey, attempt }: ActionInfo) =>
    client.rpush(effectsKey(prefix), `${idempotencyKey} ${attempt} ${role}`)
  return {
    m: {
      step: async ({ n = 0 }: { n?: number }, _args, info) => {
        await leaveEffect(info)
        return { n: n + 1 }
      },
      undo: async ({ undone = [] }: { undone?: string[] }, _args, info) => {
        await leaveEffect(info)
        return { undone: [...undone, info.state] }
      },
      fail: async (_context, _args, info) => {
        await leaveEffect(info)
        throw Object.assign(new Error('no'), { code: 'E_NO' })
      },
      /** Fails at its first attempt. */
      flaky: async ({ n = 0 }: { n?: number }, _args, info) => {
        await leaveEffect(info)
        if (info.attempt === 1) throw Object.assign(new Error('not yet'), { code: 'E_YET' })
        return { n: n + 1 }
      },
      event: async (_context, _args, info) => {
        await leaveEffect(info)
        return emit('odd')
      },
      /** Takes longer than the victim's lock holds without a renewal. */
      long: async ({ n = 0 }: { n?: number }, _args, info) => {
        await leaveEffect(info)
        await new Promise((resolve) => setTimeout(resolve, LONG_MS))
        return { n: n + 1 }
      },
      /** Does not end in the victim until it is told to stop. */
      hold: async ({ n = 0 }: { n?: number }, _args, info) => {
        await leaveEffect(info)
        if (role === 'victim')
          await new Promise<void>((resolve) => {
            info.signal.addEventListener('abort', () => resolve())
            if (info.signal.aborted) resolve()
          })
        return { n: n + 1 }
      },
    },
  }
}
