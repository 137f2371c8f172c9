import type { Redis } from 'ioredis'
import { z } from 'zod'
import { type Issue, ProcessionError } from '../kernel/errors.js'
import { digestOf } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import { type CompiledProcedure, compileProcedure } from '../procedure/compile.js'
import type { ProcedureDocument } from '../procedure/define-document.js'
import type { Procedure } from '../procedure/definition.js'
import { parseProcedure } from '../procedure/validate.js'
import { compareVersions, isVersion } from '../procedure/version.js'
import type { Keyspace } from '../redis/keys.js'
import { execute } from '../redis/replies.js'
import { loadLua } from '../redis/scripts.js'

/** One version of a procedure as the registry lists it. */
export interface RegisteredVersion {
  readonly name: string
  readonly version: string
  /** SHA-256 of the canonical input, hex. */
  readonly digest: string
  /** Whether runs can be started of it. */
  readonly active: boolean
  /** ISO 8601. */
  readonly registeredAt: string
  readonly description?: string
}

/** What `register` answers. */
export interface Registration<P extends ProcedureDocument = ProcedureDocument> {
  readonly name: P['name']
  readonly version: P['version']
  readonly digest: string
  /** Things that are allowed but probably not meant. */
  readonly warnings: readonly Issue[]
}

/** A registered procedure: its document, and what the registry knows of it. */
export type RegisteredProcedure = Procedure & Pick<RegisteredVersion, 'digest' | 'active' | 'registeredAt'>

const REGISTER_SCRIPT = loadLua(new URL('lua/register.lua', import.meta.url))
const REGISTER = 'procession:register'

/** A client that knows the script. */
type RegistryClient = Redis & Record<typeof REGISTER, (...keysAndArguments: string[]) => Promise<string | null>>

const recordSchema = z.object({ digest: z.string(), registeredAt: z.number(), description: z.string().optional() })

/**
 * The procedures of a namespace, in Redis. `name` + `version` is immutable, so what was read once is kept in the process;
 * what can change (which versions there are, which are active) is read each time, so processes always agree.
 */
export class Registry {
  readonly #client: RegistryClient
  readonly #keys: Keyspace
  readonly #shardInactive: readonly string[]
  readonly #compiled = new Map<string, CompiledProcedure>()

  constructor(client: Redis, keys: Keyspace, shards: number) {
    if (!(REGISTER in client)) client.defineCommand(REGISTER, { numberOfKeys: 3, lua: REGISTER_SCRIPT })
    this.#client = client as RegistryClient
    this.#keys = keys
    this.#shardInactive = Array.from({ length: shards }, (_, index) => keys.shard(index).inactive)
  }

  /** Validates and stores a procedure. Errors: `invalid_schema`, `not_supported_yet`, `version_exists`. Idempotent. */
  async register(input: unknown): Promise<Registration> {
    const { procedure, warnings } = parseProcedure(input)
    const { name, version } = procedure
    // The copy: what becomes of the input while Redis is asked is not what was checked.
    const digest = digestOf(procedure)
    const { description } = procedure
    const found = await this.#client[REGISTER](
      this.#keys.versions(name),
      this.#keys.definition(name, version),
      this.#keys.procedures,
      version,
      `{"digest":"${digest}","registeredAt":`,
      description ? `,"description":${JSON.stringify(description)}}` : '}',
      JSON.stringify(procedure),
      name,
    )
    if (found === null) return { name, version, digest, warnings }
    const stored = this.#parseRecord(name, version, found)
    if (stored.digest !== digest)
      throw new ProcessionError(
        'version_exists',
        `${name}@${version} is registered with other content (digest ${stored.digest.slice(0, 12)}…, yours ${digest.slice(0, 12)}…); a version never changes, so give the new content a new version`,
      )
    return { name, version, digest, warnings }
  }

  #parseRecord(name: string, version: string, text: string): z.infer<typeof recordSchema> {
    const parsed = recordSchema.safeParse(JSON.parse(text))
    if (parsed.success) return parsed.data
    throw new ProcessionError(
      'corrupt_record',
      `the registry's record of ${name}@${version} cannot be read; register it again under another version`,
    )
  }

  /** A procedure by name and version, or its `latest` active one. Throws `not_found`. */
  async get(name: string, version: string = 'latest'): Promise<RegisteredProcedure> {
    const exact = version === 'latest' ? await this.#latest(name) : version
    const [text, record, inactive] = await execute<[string | null, string | null, number]>(
      this.#client
        .pipeline()
        .get(this.#keys.definition(name, exact))
        .hget(this.#keys.versions(name), exact)
        .sismember(this.#keys.inactive, `${name}@${exact}`),
    )
    if (text === null || record === null) throw await this.#unknown(name, exact)
    const { digest, registeredAt } = this.#parseRecord(name, exact, record)
    const { procedure } = parseProcedure(JSON.parse(text))
    return { ...procedure, digest, active: inactive === 0, registeredAt: new Date(registeredAt).toISOString() }
  }

  /** The highest active version in numeric order. Throws `not_found`, `version_inactive`. */
  async #latest(name: string): Promise<string> {
    const versions = (await this.#client.hkeys(this.#keys.versions(name))).sort(compareVersions).reverse()
    if (versions.length === 0) throw await this.#unknown(name, 'latest')
    const inactive = await this.#client.smismember(
      this.#keys.inactive,
      ...versions.map((version) => `${name}@${version}`),
    )
    const active = versions.find((_, i) => Number(inactive[i]) === 0)
    if (active) return active
    throw new ProcessionError(
      'version_inactive',
      `every version of ${JSON.stringify(name)} is deactivated; register or activate one`,
    )
  }

  /** `latest` to a version; an exact version as it is. Throws `not_found`, `invalid_argument`. */
  async resolve(name: string, version: string): Promise<string> {
    if (version === 'latest') return this.#latest(name)
    if (isVersion(version)) return version
    throw new ProcessionError(
      'invalid_argument',
      `${JSON.stringify(version)} is no version; write X.Y, X.Y.Z or latest`,
    )
  }

  /** A procedure ready to decide with; read once per process. Throws `not_found`. */
  async compiled(name: string, version: string): Promise<CompiledProcedure> {
    const key = `${name}@${version}`
    const known = this.#compiled.get(key)
    if (known) return known
    const text = await this.#client.get(this.#keys.definition(name, version))
    if (text === null) throw await this.#unknown(name, version)
    const procedure = compileProcedure(parseProcedure(JSON.parse(text)).procedure)
    if (this.#compiled.size >= LIMITS.cachedProcedures) this.#compiled.delete(this.#compiled.keys().next().value!)
    this.#compiled.set(key, procedure)
    return procedure
  }

  /** The compiled procedure if this process has read it before. */
  cached(name: string, version: string): CompiledProcedure | undefined {
    return this.#compiled.get(`${name}@${version}`)
  }

  async #unknown(name: string, version: string): Promise<ProcessionError> {
    const versions = (await this.#client.hkeys(this.#keys.versions(name))).sort(compareVersions)
    const known =
      versions.length > 0
        ? `registered are ${versions.slice(-5).join(', ')}`
        : 'no procedure of this name is registered; "procession procedures" lists them, "procession register FILE" adds one'
    return new ProcessionError('not_found', `there is no procedure ${name}@${version}: ${known}`)
  }

  /** All versions, by name, then version descending. */
  async list(): Promise<RegisteredVersion[]> {
    const names = (await this.#client.smembers(this.#keys.procedures)).sort()
    const inactive = new Set(await this.#client.smembers(this.#keys.inactive))
    const pipeline = this.#client.pipeline()
    for (const name of names) pipeline.hgetall(this.#keys.versions(name))
    const records = await execute<Record<string, string>[]>(pipeline)
    return names.flatMap((name, i) => {
      const versions = Object.entries(records[i] ?? {})
      return versions
        .sort(([a], [b]) => compareVersions(b, a))
        .map(([version, text]) => {
          const { registeredAt, ...record } = this.#parseRecord(name, version, text)
          const { description, digest } = record
          return {
            name,
            version,
            digest,
            active: !inactive.has(`${name}@${version}`),
            registeredAt: new Date(registeredAt).toISOString(),
            ...(description !== undefined && { description }),
          }
        })
    })
  }

  /** Stops new runs of a version; runs that go on keep it. Throws `not_found`. Idempotent. */
  async deactivate(name: string, version: string): Promise<void> {
    await this.#setInactive(name, version, true)
  }

  /** Lets a deactivated version be started again. Throws `not_found`. Idempotent. */
  async activate(name: string, version: string): Promise<void> {
    await this.#setInactive(name, version, false)
  }

  /** Shards hold copies, since a start is one script on its shard; a shard is told before the answer says it is so. */
  async #setInactive(name: string, version: string, inactive: boolean): Promise<void> {
    if (!(await this.#client.hexists(this.#keys.versions(name), version))) throw await this.#unknown(name, version)
    const member = `${name}@${version}`
    for (const key of [...this.#shardInactive, this.#keys.inactive])
      await (inactive ? this.#client.sadd(key, member) : this.#client.srem(key, member))
  }
}
