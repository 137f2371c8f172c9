/** What the command's exit code says. */
export const EXIT = {
  done: 0,
  error: 1,
  /** Unknown command, option or argument, or a value that it cannot have. */
  usage: 2,
  /** The run that was waited for ended otherwise than completed. */
  endedOtherwise: 3,
  waitTimeout: 4,
  /** Ctrl-C or SIGTERM before there was an answer: 128 + SIGINT, as shells say it. */
  interrupted: 130,
} as const
