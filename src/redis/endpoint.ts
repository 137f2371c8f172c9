import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

/*
 * `.procession/endpoint.json` says where the Redis of a running `procession dev` is, so that the other commands find it
 * without a flag. It exists as long as that process: a file whose process is gone counts as no file.
 */

const FOLDER = '.procession'
const FILE = 'endpoint.json'

const endpointSchema = z.object({
  redisUrl: z.string().min(1),
  pid: z.int().positive(),
})

/** Where a running `procession dev` keeps its Redis (`redisUrl`), and which process that is (`pid`). */
export type Endpoint = z.infer<typeof endpointSchema>

/**
 * Writes `<dir>/.procession/endpoint.json`, replacing one that is there. Readers see the old or the new file, never a half
 * one. Mode 0600, as the URL may hold a password. `dir` is the current folder by default. Idempotent.
 */
export async function writeEndpoint(endpoint: Endpoint, dir = process.cwd()): Promise<void> {
  const folder = join(dir, FOLDER)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = join(folder, `${FILE}.${process.pid}`)
  // A draft left by a crash may have another mode, which writing into it would keep.
  await rm(draft, { force: true })
  await writeFile(draft, `${JSON.stringify(endpointSchema.parse(endpoint), null, 2)}\n`, { mode: 0o600, flag: 'wx' })
  await rename(draft, join(folder, FILE))
}

/**
 * The endpoint that a running `procession dev` left under `dir`; undefined when there is no file, when it is not readable
 * as one, or when the process that wrote it is gone.
 */
export async function readEndpoint(dir = process.cwd()): Promise<Endpoint | undefined> {
  let text: string
  try {
    text = await readFile(join(dir, FOLDER, FILE), 'utf8')
  } catch {
    return undefined
  }
  const parsed = endpointSchema.safeParse(parseJson(text))
  return parsed.success && isAlive(parsed.data.pid) ? parsed.data : undefined
}

/**
 * Removes the endpoint file under `dir` if process `pid` (by default this one) wrote it: a second `procession dev` in the
 * same folder may have replaced it, and its file is not ours to remove. Idempotent.
 */
export async function removeEndpoint(dir = process.cwd(), pid = process.pid): Promise<void> {
  const endpoint = await readEndpoint(dir)
  if (endpoint !== undefined && endpoint.pid !== pid) return
  await rm(join(dir, FOLDER, FILE), { force: true })
}

/** Where {@link resolveRedisUrl} looks, in this order. */
export interface RedisUrlSources {
  /** The value of `--redis`. */
  readonly flag?: string | undefined
  /** By default `process.env`; an empty REDIS_URL counts as unset. */
  readonly env?: { readonly REDIS_URL?: string | undefined }
  /** Folder whose endpoint file is read, by default the current one. */
  readonly cwd?: string
}

/**
 * The Redis that a command is to use: `--redis`, else REDIS_URL, else the endpoint file of a running `procession dev`,
 * else undefined. The value is not checked here; `connectRedis` does that.
 */
export async function resolveRedisUrl(sources: RedisUrlSources = {}): Promise<string | undefined> {
  const env = sources.env ?? process.env
  return sources.flag ?? (env.REDIS_URL || (await readEndpoint(sources.cwd))?.redisUrl)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it lives and belongs to another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
