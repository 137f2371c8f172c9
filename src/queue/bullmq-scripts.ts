/**
 * BullMQ's shipped Lua, used as a library. Each of its script texts becomes a function with KEYS and ARGV as parameters
 * (both are globals of a script, so shadowing them changes nothing inside the text), and each list of its keys becomes a
 * function of the job id, learnt from the calls that BullMQ's own backend makes. Nothing of BullMQ is copied here.
 *
 * Bound to the pinned BullMQ: `test/queue/bullmq-contract.test.ts` fails loudly when a new version changes what is relied on.
 */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type JobJson, RedisQueueBackend } from 'bullmq'
import { LIMITS } from '../kernel/limits.js'
import { loadLua } from '../redis/scripts.js'
import { RUN_FORMAT } from './run-hash.js'

interface ShippedScript {
  readonly name: string
  readonly content: string
  readonly keys: number
}

const require = createRequire(import.meta.url)
const bullmqRoot = dirname(require.resolve('bullmq/package.json'))
const shipped = new Map(
  Object.values(require(join(bullmqRoot, 'dist/cjs/scripts')) as Record<string, ShippedScript>).map((s) => [s.name, s]),
)

/** Stands for the job id where keys are learnt: nothing else can hold it. */
const JOB = '\u0001job'

/** A script of BullMQ's by name. Throws a plain Error when the installed version has none: the contract is broken. */
export function shippedScript(name: string): ShippedScript {
  const script = shipped.get(name)
  if (!script) throw new Error(`the installed BullMQ ships no script "${name}"; pin the version in package.json`)
  return script
}

/** The calls of BullMQ's whose keys our scripts need, by the name of the Lua function that gives them. */
type Probe = (backend: RedisQueueBackend) => Promise<unknown>
const probeJob = { id: JOB, opts: { attempts: 1 }, data: '{}', name: JOB, timestamp: 0 } as unknown as JobJson
const KEY_PROBES: Record<string, { script: string; probe: Probe }> = {
  addStandardJob: { script: 'addStandardJob', probe: (b) => b.addJob(probeJob, JOB) },
  addPrioritizedJob: {
    script: 'addPrioritizedJob',
    probe: (b) => b.addJob({ ...probeJob, opts: { priority: 1 } } as JobJson, JOB),
  },
  moveToActive: { script: 'moveToActive', probe: (b) => b.moveToActive('token') },
  moveToCompleted: {
    script: 'moveToFinished',
    probe: (b) => b.moveToCompleted(probeJob as never, 'x', true, 'token', true),
  },
  moveToFailed: {
    script: 'moveToFinished',
    probe: (b) => b.moveToFailed(probeJob as never, 'x', true, 'token', true),
  },
  moveToDelayed: { script: 'moveToDelayed', probe: (b) => b.moveToDelayed(JOB, 1, 1, 'token', {}) },
  retryJob: { script: 'retryJob', probe: (b) => b.retryJob(JOB, false, 'token', {}) },
  moveJobFromActiveToWait: { script: 'moveJobFromActiveToWait', probe: (b) => b.moveJobFromActiveToWait(JOB, 'token') },
}

interface CapturedCall {
  readonly script: string
  readonly args: readonly unknown[]
}

/** Records the script and arguments of one call of BullMQ's backend, without a connection and without making it. */
export async function captureCall(backend: RedisQueueBackend, probe: Probe): Promise<CapturedCall> {
  let captured: CapturedCall | undefined
  const { keys, toKey } = backend
  const opts = (backend as unknown as { queue: { opts: object } }).queue.opts
  // BullMQ's own methods on the backend's own data: what the backend's class overrides must not be recorded.
  const recorder = Object.assign(Object.create(RedisQueueBackend.prototype), backend) as RedisQueueBackend
  Object.defineProperties(recorder, {
    queue: { value: { keys, toKey: toKey.bind(backend), opts, closing: false, client: Promise.resolve(null) } },
    execCommand: {
      value: (_client: unknown, script: string, args: unknown[]) => {
        captured = { script, args }
        return 0
      },
    },
  })
  await probe(recorder)
  if (!captured) throw new Error('BullMQ made no call where one was expected; pin the version in package.json')
  return captured
}

/** Lua functions `keys_<name>(job_id)` that build the keys of each call from the queue's prefix P. */
export async function learnKeyFunctions(backend: RedisQueueBackend): Promise<ReadonlyMap<string, string>> {
  const prefix = backend.keys['']!
  const functions = new Map<string, string>()
  for (const [name, { script, probe }] of Object.entries(KEY_PROBES)) {
    const call = await captureCall(backend, probe)
    if (call.script !== script) throw new Error(`BullMQ calls "${call.script}" where "${script}" was expected`)
    const keys = call.args.slice(0, shippedScript(script).keys).map((key) => keyExpression(String(key), prefix))
    functions.set(name, `local function keys_${name}(job_id) return { ${keys.join(', ')} } end\n`)
  }
  return functions
}

function keyExpression(key: string, prefix: string): string {
  if (!key.startsWith(prefix)) throw new Error(`BullMQ uses a key outside of its queue: ${key}`)
  const suffix = key.slice(prefix.length)
  if (suffix === JOB) return 'P .. job_id'
  return suffix === '' ? 'P' : `P .. ${JSON.stringify(suffix)}`
}

/** Drops comments: the texts travel to Redis once per connection, but are compiled whole. */
function withoutComments(lua: string): string {
  return lua
    .replace(/--\[\[[\s\S]*?\]\]/g, '')
    .replace(/^\s*--.*$/gm, '')
    .replace(/^\s*\n/gm, '')
}

/** Lets BullMQ's texts call Redis without writing to BullMQ's own event stream, which our live stream replaces. */
const QUIET_REDIS = `
local QUIET = true
local bull_redis = { pcall = redis.pcall, error_reply = redis.error_reply, log = redis.log, sha1hex = redis.sha1hex,
  call = function(command, key, ...)
    if key == P .. 'events' and (command == 'XADD' or command == 'XTRIM') then return command == 'XADD' and '0-0' or 0 end
    return redis.call(command, key, ...)
  end }
`
const LOUD_REDIS = '\nlocal QUIET = false\nlocal bull_redis = redis\n'

function asFunction(name: string): string {
  const body = withoutComments(shippedScript(name).content)
  return `local function bull_${name}(KEYS, ARGV)\nlocal redis = bull_redis\n${body}\nend\n`
}

/** Bounds and formats that the scripts share with TypeScript. */
const CONSTANTS = `
local RUN_FORMAT = '${RUN_FORMAT}'
local HISTORY_FULL_AT = ${LIMITS.historyEntries - LIMITS.historyReserve}
local LIVE_STREAM_RECORDS = '${LIMITS.liveStreamRecords}'
local LIVE_RECORD_COMMITS = ${LIMITS.liveRecordCommits}
local RESERVE_MS = ${LIMITS.reserveMs}
local SWEEP_MS = ${LIMITS.sweepMs}
local WAIT_LOOK = ${LIMITS.checkWaitLook}
local COMPLETED_KEPT_PER_CALL = ${LIMITS.completedKeptPerCall}
`

/** Composes one of our scripts: its text with includes, constants and the BullMQ functions that it names. */
export function composeScript(file: string, keyFunctions: ReadonlyMap<string, string>, quiet: boolean): string {
  const text = loadLua(new URL(`lua/${file}.lua`, import.meta.url))
  return withoutComments(
    text
      .replace(/^-- @constants$/m, () => CONSTANTS)
      .replace(/^-- @bullmq (.+)$/m, (_line, names: string) => {
        const scripts = names.trim().split(/\s+/)
        const keys = [...keyFunctions]
          .filter(([name]) => scripts.includes(KEY_PROBES[name]!.script))
          .map(([, lua]) => lua)
        return (quiet ? QUIET_REDIS : LOUD_REDIS) + keys.join('') + scripts.map(asFunction).join('')
      }),
  )
}
