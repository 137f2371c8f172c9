import { z } from 'zod'
import type { IgnoredReason } from '../engine/decision.js'
import { ProcessionError } from '../kernel/errors.js'
import type { ProcedureDocument } from '../procedure/define-document.js'
import type { StateNames } from '../procedure/typed-names.js'

/** What a caller's event came to. */
export interface EventAnswer<P extends ProcedureDocument = ProcedureDocument> {
  /** Whether a transition took it, or the mailbox did. */
  readonly accepted: boolean
  /** Why not: nothing was stored. */
  readonly reason?: IgnoredReason | 'history_limit'
  /** The current state after it. */
  readonly state: StateNames<P>
  /** It waits in the run's mailbox (`deliver: "when_ready"`). */
  readonly buffered?: true
}

const answerSchema = z.looseObject({ accepted: z.boolean(), state: z.string() })

/** The answer that an event of this id was given before. Throws `corrupt_record` for what no release has written. */
export function parseAnswer(runId: string, text: string): EventAnswer {
  const parsed = answerSchema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data as EventAnswer
  throw new ProcessionError(
    'corrupt_record',
    `the answers to the events of run ${runId} hold one that no release has written: ${text.slice(0, 120)}`,
  )
}
