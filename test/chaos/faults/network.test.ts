import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Gate } from './network.js'
import type { NetworkFault, NetworkFaultKind } from './plan.js'

const FOR_MS = 150
const fault = (how: NetworkFaultKind, more: Partial<NetworkFault> = {}): NetworkFault => ({
  ...{ kind: 'network', how, gate: 0, connection: 0, forMs: FOR_MS, share: 0.5 },
  ...more,
})

/** A server that answers each request with `<request>!`, and keeps what it read and how its connections ended. */
let server: Server
let sockets: Socket[]
let read: string
let gate: Gate

/** A client through the gate: what it read, and how it ended. */
class Client {
  readonly socket: Socket
  read = ''
  end: 'closed' | 'reset' | undefined
  readonly #closed: Promise<void>

  constructor() {
    this.socket = connect(Number(new URL(gate.url).port), '127.0.0.1')
    this.socket.on('data', (bytes) => {
      this.read += bytes
    })
    this.socket.on('error', () => {
      this.end = 'reset'
    })
    this.#closed = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.end ??= 'closed'
        resolve()
      })
    })
  }

  async ask(text: string): Promise<void> {
    const before = this.read.length
    this.socket.write(text)
    while (this.read.length < before + text.length + 1) await once(this.socket, 'data')
  }

  async ended(): Promise<'closed' | 'reset' | undefined> {
    await this.#closed
    return this.end
  }
}

beforeEach(async () => {
  read = ''
  sockets = []
  server = createServer((socket) => {
    sockets.push(socket)
    socket.on('data', (bytes) => {
      read += bytes
      socket.write(`${bytes}!`)
    })
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  gate = await Gate.open(`redis://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

afterEach(async () => {
  await gate.close()
  for (const socket of sockets) socket.destroy()
  server.close()
  await once(server, 'close')
})

async function connected(): Promise<Client> {
  const client = new Client()
  await client.ask('hello')
  return client
}

describe('a gate', () => {
  test('passes everything on, both ways', async () => {
    const client = await connected()
    await client.ask('x'.repeat(100_000))
    expect(client.read.startsWith('hello!xxx')).toBe(true)
    expect(gate.comesFrom(sockets[0]!.remotePort!)).toBe(true)
    expect(gate.comesFrom(1)).toBe(false)
  })

  test('closes one side when the other does', async () => {
    const client = await connected()
    sockets[0]!.end()
    expect(await client.ended()).toBe('closed')
  })

  test('drops a connection in order, and resets one', async () => {
    const [first, second] = [await connected(), await connected()]
    gate.strike(fault('drop'))
    expect(await first.ended()).toBe('closed')
    gate.strike(fault('reset'))
    expect(await second.ended()).toBe('reset')
  })

  test('cuts an answer in the middle', async () => {
    const client = await connected()
    gate.strike(fault('cut_reply'))
    client.socket.write('1234567')
    expect(await client.ended()).toBe('closed')
    expect({ asked: read, answered: client.read }).toStrictEqual({ asked: 'hello1234567', answered: 'hello!1234' })
  })

  test('cuts a request in the middle', async () => {
    const client = await connected()
    const gone = once(sockets[0]!, 'close')
    gate.strike(fault('cut_request'))
    client.socket.write('12345678')
    await Promise.all([client.ended(), gone])
    expect(read).toBe('hello1234')
  })

  test('holds bytes back, and delivers them later', async () => {
    const client = await connected()
    const from = performance.now()
    gate.strike(fault('stall'))
    await client.ask('late')
    expect(performance.now() - from).toBeGreaterThanOrEqual(FOR_MS - 2)
    expect(client.read).toBe('hello!late!')
  })

  test('leaves a client alone with a server that is gone, until it is reset', async () => {
    const client = await connected()
    const gone = once(sockets[0]!, 'close')
    gate.strike(fault('half_open'))
    await gone
    expect(client.end).toBeUndefined()
    client.socket.write('nobody hears this')
    expect(await client.ended()).toBe('reset')
    expect(read).toBe('hello')
  })

  test('leaves a client alone for good, until that gives up', async () => {
    const client = await connected()
    gate.strike(fault('deaf'))
    client.socket.write('nobody hears this')
    await once(sockets[0]!, 'close')
    expect(client.end).toBeUndefined()
    client.socket.destroy()
    expect([await client.ended(), read]).toStrictEqual(['closed', 'hello'])
  })

  test('leaves a server alone with a client that is gone', async () => {
    const client = await connected()
    const gone = once(sockets[0]!, 'close')
    gate.strike(fault('ghost'))
    expect(await client.ended()).toBe('reset')
    expect(sockets[0]!.readableEnded).toBe(false)
    await gone
  })

  test('that is partitioned takes everybody with it, also who connects meanwhile, and nobody afterwards', async () => {
    const clients = [await connected(), await connected()]
    gate.strike(fault('partition'))
    const late = new Client()
    late.socket.write('hello')
    expect(await Promise.all([...clients, late].map((client) => client.ended()))).toStrictEqual(Array(3).fill('reset'))
    expect(late.read).toBe('')
    const after = await connected()
    expect(after.read).toBe('hello!')
  })

  test('that is slow keeps the order of what it delays', async () => {
    const client = await connected()
    gate.strike(fault('slow', { share: 1 }))
    const words = Array.from({ length: 50 }, (_, i) => `${i},`)
    for (const word of words) client.socket.write(word)
    while (!client.read.includes('49,')) await once(client.socket, 'data')
    expect(read).toBe(`hello${words.join('')}`)
  })
})
