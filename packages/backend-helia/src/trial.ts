/** What came of asking one provider for one block. */
export interface Trial {
  askedAt: number
  /** `probed`: asked whether it has it. */
  state: 'probed' | 'asked' | 'lacks' | 'failed'
  error?: unknown
}
