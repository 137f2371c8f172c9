import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll } from 'vitest'
import type { HttpAction } from '../../src/actions/builtin/http/request.js'
import { completeAction } from '../../src/procedure/action-schema.js'

/** A request as the server read it. */
export interface ReceivedRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** Answers one request; `response.req` is the request itself. */
export type Answer = (response: ServerResponse, request: ReceivedRequest) => void

export interface HttpTestServer {
  readonly origin: string
  /** Everything that arrived, in order. */
  readonly requests: ReceivedRequest[]
  /** How the requests that follow are answered; by default 200 and no body. */
  answer: Answer
}

/**
 * A real server on a free port of 127.0.0.1. At the end of the test file it is closed without cutting connections:
 * one that a client has neither finished nor let go keeps it open and fails the file.
 */
export async function openHttpServer(): Promise<HttpTestServer> {
  const opened: HttpTestServer = { origin: '', requests: [], answer: (response) => response.end() }
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const { method = '', url = '', headers } = request
    const received = { method, url, headers, body }
    opened.requests.push(received)
    opened.answer(response, received)
  })
  const port = await listen(server)
  afterAll(() => closed(server))
  return Object.assign(opened, { origin: `http://127.0.0.1:${port}` })
}

/** A port of 127.0.0.1 on which nobody listens. */
export async function unusedPort(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  await closed(server)
  return port
}

/** An `http` action as the engine hands it on, with its defaults. */
export function httpAction(action: object): HttpAction {
  return completeAction({ type: 'http', ...action } as Parameters<typeof completeAction>[0]) as HttpAction
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function closed(server: Server): Promise<void> {
  const over = once(server, 'close')
  server.close()
  await over
}
