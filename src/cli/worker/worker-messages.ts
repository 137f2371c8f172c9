import { z } from 'zod'

/** What a worker process tells its launcher over their IPC channel. */
export const workerMessageSchema = z.discriminatedUnion('type', [
  /** It takes jobs. */
  z.object({ type: z.literal('ready') }),
  /** It could not start, and ends. */
  z.object({ type: z.literal('failed'), code: z.string(), message: z.string() }),
])

export type WorkerMessage = z.infer<typeof workerMessageSchema>

/** Tells the launcher, where there is one. Resolves when the message has been handed over. */
export async function tellLauncher(message: WorkerMessage): Promise<void> {
  if (!process.send || !process.connected) return
  await new Promise<void>((resolve) => {
    process.send!(message, () => resolve())
  })
}
