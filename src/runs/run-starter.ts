import { decideStart } from '../engine/start.js'
import { ProcessionError } from '../kernel/errors.js'
import { ALREADY_THERE, VERSION_INACTIVE } from '../queue/transition-scripts.js'
import { encodeCommit } from './commit-encoder.js'
import type { Namespace } from './namespace.js'
import type { Registry } from './registry.js'
import type { StartRequest } from './start-options.js'

/** Begins runs, or finds the one that the same request began before. */
export class RunStarter {
  readonly #namespace: Namespace
  readonly #registry: Registry

  constructor(namespace: Namespace, registry: Registry) {
    this.#namespace = namespace
    this.#registry = registry
  }

  /** When this resolves, Redis holds the run. Throws `not_found`, `version_inactive`, `idempotency_conflict`. */
  async start(name: string, version: string, request: StartRequest): Promise<void> {
    try {
      await this.#begin(name, version, request)
    } catch (error) {
      // A request that was carried out while the version was active stays carried out.
      const inactive = error instanceof ProcessionError && error.code === 'version_inactive'
      if (!inactive || !request.named || !(await this.#isThere(version, request))) throw error
    }
  }

  async #begin(name: string, version: string, request: StartRequest): Promise<void> {
    const exact = await this.#registry.resolve(name, version)
    const procedure = await this.#registry.compiled(name, exact)
    const { id, drive, fingerprint, timeoutMs, context } = request
    const decision = decideStart(procedure, { id, context, drive, ...(timeoutMs !== undefined && { timeoutMs }) })
    const block = encodeCommit(procedure, undefined, decision, { byOwnJob: false })
    const { transitions } = this.#namespace.shardOf(id)
    const [reply] = await transitions.start([{ procedure: name, version: exact, fingerprint, block }])
    const [code, stored, storedVersion] = reply!
    if (code === ALREADY_THERE) compare(version, request, stored, storedVersion)
    if (code === VERSION_INACTIVE)
      throw new ProcessionError(
        'version_inactive',
        `${procedure.key} is deactivated and starts no new runs; start another version or activate it`,
      )
  }

  async #isThere(version: string, request: StartRequest): Promise<boolean> {
    const key = this.#namespace.shardOf(request.id).keys.run(request.id)
    const [stored, storedVersion] = await this.#namespace.client.hmget(key, 'input', 'ver')
    if (stored == null) return false
    compare(version, request, stored, storedVersion ?? '')
    return true
  }
}

/** Throws `idempotency_conflict` where a used id came with another input than it was first used with. */
function compare(version: string, { id, fingerprint }: StartRequest, stored: string, storedVersion: string): void {
  if (stored === fingerprint && (version === 'latest' || version === storedVersion)) return
  throw new ProcessionError(
    'idempotency_conflict',
    `run ${id} was started with another procedure, version, context or options; use another run id or idempotency key, or the same input`,
  )
}
