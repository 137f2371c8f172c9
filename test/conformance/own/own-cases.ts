export const OWN_CASES: unknown[] = []
