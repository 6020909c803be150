import type { TestContext } from 'vitest'

/** For `beforeEach`: leaves out tests, and says why, where the setup lacks what they need. */
export function needs(part: unknown, name: string): (context: TestContext) => void {
  return (context) => {
    if (part === undefined) context.skip(`the setup has no ${name}`)
  }
}
