/** Ourselves, with all defaults: history, live events, fencing, deadlines, 1,000 completed jobs kept. */
import { ProceduralStore, ProcedureWorker } from '../../src/index.js'
import {
  ACTION_FUNCTION,
  ACTION_MODULE,
  contextOf,
  fiveStates,
  LAST_STATE,
  PROCEDURE_NAME,
  PROCEDURE_VERSION,
} from '../five-states.js'
import type { Contender, OpenWorker, Place, Producer, WorkListener } from './contender.js'

const PAGE = 1_000

async function openProducer({ url, prefix, contextBytes, shards, stateTimeoutMs }: Place): Promise<Producer> {
  const store = await ProceduralStore.connect({ connection: url, prefix, ...(shards !== undefined && { shards }) })
  await store.register(fiveStates(stateTimeoutMs))
  const context = contextOf(contextBytes)
  const item = { procedure: PROCEDURE_NAME, version: PROCEDURE_VERSION, context }
  return {
    async start(count) {
      const outcomes = await store.startProcedures(Array.from({ length: count }, () => item))
      const refused = outcomes.find(({ error }) => error !== undefined)
      if (refused) throw refused.error
    },
    async startOne() {
      await store.startProcedure(PROCEDURE_NAME, PROCEDURE_VERSION, context)
    },
    async verify({ started, ended }) {
      const [completed, failed] = [await countRuns(store, 'completed'), await countRuns(store, 'failed')]
      if (completed >= ended && completed <= started && failed === 0) return
      throw new Error(
        `of ${started} runs, ${completed} have completed and ${failed} failed; ${ended} should have ended`,
      )
    },
    close: () => store.close(),
  }
}

async function countRuns(store: ProceduralStore, status: 'completed' | 'failed'): Promise<number> {
  let count = 0
  let after: string | undefined
  do {
    const page = await store.runs({ status, limit: PAGE, ...(after !== undefined && { after }) })
    count += page.items.length
    after = page.next
  } while (after !== undefined)
  return count
}

async function openWorker(
  { url, prefix }: Place,
  concurrency: number,
  { stepCalled, runEnded, failed }: WorkListener,
): Promise<OpenWorker> {
  // It returns nothing: what an action returns is kept in the history.
  const act = () => {
    stepCalled()
  }
  const worker = new ProcedureWorker({
    connection: url,
    prefix,
    concurrency,
    actions: { [ACTION_MODULE]: { [ACTION_FUNCTION]: act } },
  })
  worker.on('completed', ({ state }) => {
    if (state === LAST_STATE) runEnded()
  })
  worker.on('failed', ({ error }) => failed(new Error(error.message)))
  worker.on('error', failed)
  await worker.start()
  return { close: () => worker.close() }
}

export const procession: Contender = { openProducer, openWorker }
