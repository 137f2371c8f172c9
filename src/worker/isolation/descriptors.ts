/** Of an isolated action's process: its pipe for the messages of `messages.ts`. */
export const MESSAGES_FD = 3
/** The pipe whose end says that the worker is gone, and on which the guard says why it kills. */
export const GUARD_FD = 4
