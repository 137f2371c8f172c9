import type { CommitDecision } from '../engine/decision.js'
import type { HistoryEntry } from '../engine/history.js'
import { replay } from '../engine/replay.js'
import { decideStart, type StartInput } from '../engine/start.js'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import type { CommitBlock } from '../queue/commit-block.js'
import { ALREADY_THERE, type StartReply, VERSION_INACTIVE } from '../queue/transition-scripts.js'
import { encodeCommit } from './commit-encoder.js'
import { type HistoryPage, readHistory } from './history-reader.js'
import type { Namespace, Shard } from './namespace.js'
import type { Registry } from './registry.js'
import { checkFork, type StartRequest } from './start-options.js'
import type { Telemetry } from './telemetry.js'

/** A run to be started, with everything that its commit needs. */
interface PreparedStart {
  /** As asked for: a version, or `latest`. */
  readonly asked: string
  readonly name: string
  readonly version: string
  readonly request: StartRequest
  readonly decision: CommitDecision
  readonly block: CommitBlock
}

/** Runs of one batch that one script begins: it holds up its shard for some milliseconds. */
const STARTS_PER_CALL = 50

/** Begins runs, or finds the ones that the same requests began before. */
export class RunStarter {
  readonly #namespace: Namespace
  readonly #registry: Registry
  readonly #telemetry: Telemetry

  constructor(namespace: Namespace, registry: Registry, telemetry: Telemetry) {
    this.#namespace = namespace
    this.#registry = registry
    this.#telemetry = telemetry
  }

  /** When this resolves, Redis holds the run. Throws `not_found`, `version_inactive`, `idempotency_conflict`, `context_invalid`. */
  async start(name: string, version: string, request: StartRequest): Promise<void> {
    const [outcome] = await this.startAll([{ name, version, request }])
    if (outcome) throw outcome
  }

  /** Begins many runs, in a few calls a shard. Per run, in order: undefined when it is there, else why it is not. */
  async startAll(
    starts: readonly { name: string; version: string; request: StartRequest }[],
  ): Promise<(ProcessionError | undefined)[]> {
    const outcomes: (ProcessionError | undefined)[] = []
    const byShard = new Map<Shard, { index: number; prepared: PreparedStart }[]>(
      this.#namespace.shards.map((shard) => [shard, []]),
    )
    const versions = new Map<string, Promise<string>>()
    for (const [index, { name, version, request }] of starts.entries()) {
      try {
        const key = `${name}@${version}`
        if (!versions.has(key)) versions.set(key, this.#registry.resolve(name, version))
        const prepared = await this.#prepare(name, await versions.get(key)!, version, request, startInput(request))
        byShard.get(this.#namespace.shardOf(request.id))!.push({ index, prepared })
      } catch (error) {
        // A request that was carried out while its version was active stays carried out.
        outcomes[index] = await this.#unlessThere(error, version, request)
      }
    }
    const calls = [...byShard].flatMap(([shard, all]) =>
      chunks(all, STARTS_PER_CALL).map(async (chunk) => {
        const replies = await shard.transitions.start(chunk.map(({ prepared }) => startArguments(prepared)))
        for (const [i, { index, prepared }] of chunk.entries()) outcomes[index] = this.#outcomeOf(prepared, replies[i]!)
      }),
    )
    await Promise.all(calls)
    return starts.map((_, index) => outcomes[index])
  }

  async #prepare(
    name: string,
    version: string,
    asked: string,
    request: StartRequest,
    input: StartInput,
  ): Promise<PreparedStart> {
    const procedure = await this.#registry.compiled(name, version)
    const decision = decideStart(procedure, input)
    if (decision.kind === 'refused')
      throw new ProcessionError(decision.code, decision.message, { issues: decision.issues ?? [] })
    const block = encodeCommit(procedure, undefined, decision, { byOwnJob: false })
    return { asked, name, version, request, decision, block }
  }

  /**
   * Begins a run from an entry of another's history: in the state and with the context that it left, as a new visit.
   * `seq` is that of the entry; without one, the last. Returns the new run's id.
   * Throws `not_found`, `invalid_argument`, and what {@link start} throws.
   */
  async fork(runId: string, seq: number | undefined, options: unknown): Promise<string> {
    const { origin, procedure, version } = await this.#originOf(runId, seq)
    const { context, drive } = origin
    const request = checkFork(options, { runId, seq: origin.seq, context, drive })
    const { state, event } = origin
    const input: StartInput = { ...startInput(request), fork: { runId, seq: origin.seq, state, event } }
    const prepared = await this.#prepare(procedure, version, version, request, input)
    const { transitions } = this.#namespace.shardOf(request.id)
    const [reply] = await transitions.start([startArguments(prepared)])
    const failure = this.#outcomeOf(prepared, reply!)
    if (failure) throw failure
    return request.id
  }

  /** The run as its history tells that it stood after the entries with this seq. */
  async #originOf(runId: string, seq: number | undefined) {
    const items = await this.#wholeHistory(runId)
    const last = items.at(-1)!.seq
    if (seq !== undefined && !items.some((entry) => entry.seq === seq))
      throw new ProcessionError(
        'invalid_argument',
        `the history of run ${runId} has no entry with seq ${seq}; it has 1 to ${last}`,
      )
    const { state, context, event, procedure, version } = replay(items.filter((entry) => entry.seq <= (seq ?? last)))
    const drive = items[0]!.drive ?? 'auto'
    return { origin: { state, context, event, drive, seq: seq ?? last }, procedure, version }
  }

  async #wholeHistory(runId: string): Promise<HistoryEntry[]> {
    const items: HistoryEntry[] = []
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page: HistoryPage = await readHistory(this.#namespace, runId, { after, limit: LIMITS.historyEntries })
      items.push(...page.items)
      after = page.next
    }
    return items
  }

  /** Why a run is not there as asked for; undefined when it is. */
  #outcomeOf(prepared: PreparedStart, [code, stored, storedVersion, at]: StartReply): ProcessionError | undefined {
    if (code === ALREADY_THERE) return conflictOf(prepared.asked, prepared.request, stored, storedVersion)
    if (code === VERSION_INACTIVE)
      return new ProcessionError(
        'version_inactive',
        `${prepared.name}@${prepared.version} is deactivated and starts no new runs; start another version or activate it`,
      )
    this.#telemetry.committed(undefined, prepared.decision, at)
    return undefined
  }

  /** Why a request was not carried out; undefined when it had been before. */
  async #unlessThere(error: unknown, version: string, request: StartRequest): Promise<ProcessionError | undefined> {
    if (!(error instanceof ProcessionError)) throw error
    if (error.code !== 'version_inactive' || !request.named) return error
    const key = this.#namespace.shardOf(request.id).keys.run(request.id)
    const [stored, storedVersion] = await this.#namespace.client.hmget(key, 'input', 'ver')
    return stored == null ? error : conflictOf(version, request, stored, storedVersion ?? '')
  }
}

function startInput({ id, context, drive, timeoutMs, delayMs, priority, tags }: StartRequest): StartInput {
  return {
    id,
    context,
    drive,
    tags,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(delayMs !== undefined && { delayMs }),
    ...(priority !== undefined && { priority }),
  }
}

function startArguments({ name, version, request, block }: PreparedStart) {
  return { procedure: name, version, fingerprint: request.fingerprint, tags: request.tags, block }
}

/** An `idempotency_conflict` where a used id came with another input than it was first used with. */
function conflictOf(
  version: string,
  { id, fingerprint }: StartRequest,
  stored: string,
  storedVersion: string,
): ProcessionError | undefined {
  if (stored === fingerprint && (version === 'latest' || version === storedVersion)) return undefined
  return new ProcessionError(
    'idempotency_conflict',
    `run ${id} was started with another procedure, version, context or options; use another run id or idempotency key, or the same input`,
  )
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
}
