import type { FsmCase } from '../fsm-case.js'
import { breakCases } from './breaks.js'
import { celCases } from './cel.js'
import { eventCases } from './events.js'
import { guardCases } from './guards.js'
import { mergeCases } from './merging.js'
import { retryCases } from './retries.js'
import { rollbackCases } from './rollbacks.js'
import { timerCases } from './timers.js'
import { walkCases } from './walks.js'

/** Cases of our own, in the dialect of the sample: what DESIGN §3 decides, and what a careless engine would trip over. */
export const OWN_CASES: FsmCase[] = [
  ...guardCases,
  ...celCases,
  ...mergeCases,
  ...retryCases,
  ...timerCases,
  ...eventCases,
  ...walkCases,
  ...breakCases,
  ...rollbackCases,
]
