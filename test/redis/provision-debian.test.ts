import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startLocalServer, versionOf } from '../../src/redis/local-server.js'
import { unpackDebianServer } from '../../src/redis/provision-debian.js'
import { cachedServer, serverFolder } from '../../src/redis/server-cache.js'

const isDebian = existsSync('/usr/bin/apt-get') && existsSync('/usr/bin/dpkg')

// The real archive: this is the way by which Redis comes to a bare machine, this project's CI included.
test.skipIf(!isDebian)(
  'two processes unpack the package at once; both have a server that runs, and nothing else stays',
  { timeout: 120_000 },
  async () => {
    const cacheDir = await mkdtemp(join(tmpdir(), 'procession-test-'))
    onTestFinished(() => rm(cacheDir, { recursive: true, force: true }))
    const said: string[] = []
    const binaries = await Promise.all([
      unpackDebianServer(cacheDir, (line) => said.push(line)),
      unpackDebianServer(cacheDir, (line) => said.push(line)),
    ])
    expect(binaries[0]).toEqual(cachedServer(cacheDir))
    expect(binaries[1]).toEqual(binaries[0])
    expect(said).toHaveLength(2)
    expect(said[0]).toContain(serverFolder(cacheDir))

    const server = await startLocalServer(binaries[0])
    await server.stop()
    expect(await readdir(join(cacheDir, 'redis'))).toHaveLength(1)
    expect((await readdir(serverFolder(cacheDir))).sort()).toEqual(['bin', 'lib'])

    // A server that does not run is replaced.
    await writeFile(binaries[0].file, 'junk')
    await expect(versionOf(binaries[0])).rejects.toThrow()
    expect(await versionOf(await unpackDebianServer(cacheDir, () => {}))).toMatch(/^\d+\.\d+/)
  },
)
