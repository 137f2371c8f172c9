import { setTimeout as delay } from 'node:timers/promises'
import type { ActionInfo } from '../../actions/action.js'

const LEAST_MS = 8
const MOST_MS = 22

/** Work of a few milliseconds, as a call to another service would be. */
async function work({ signal }: ActionInfo): Promise<void> {
  await delay(LEAST_MS + Math.random() * (MOST_MS - LEAST_MS), undefined, { signal })
}

interface Order {
  readonly order: number
  readonly left: number
}

/** The functions of the demo's crowd; see crowd-procedure.ts. */
export const crowd = {
  check: (_order: Order, _args: unknown, info: ActionInfo) => work(info),
  async pick({ left }: Order, _args: unknown, info: ActionInfo) {
    await work(info)
    return { left: left - 1 }
  },
  pack: (_order: Order, _args: unknown, info: ActionInfo) => work(info),
  async ship({ order }: Order, _args: unknown, info: ActionInfo) {
    await work(info)
    return { parcel: `P-${String(order).padStart(5, '0')}` }
  },
}
