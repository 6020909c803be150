/**
 * `node --import @x/node/register app.mjs`: what the program loads through transformers.js comes from the local store. By
 * environment alone; `createTransformersHook` of `@x/node` takes options.
 */
import { createTransformersHook, type HookStatus, type TransformersHook } from './transformers/transformers-hook.ts'

const hook: TransformersHook = createTransformersHook()
hook.apply()
// A store that is open does not keep a program alive; one that ends by itself closes it. What it loads on its way out comes from where
// the rest came from.
process.on('beforeExit', () => {
  hook.rest().catch((error: unknown) => process.emitWarning(error instanceof Error ? error : String(error)))
})

/** As `TransformersHook.apply`. */
export const apply = (): void => hook.apply()
/** As `TransformersHook.disable`. */
export const disable = (): void => hook.disable()
/** As `TransformersHook.restore`. */
export const restore = (): Promise<void> => hook.restore()
/** What was patched, what was asked for, and who answered. */
export const status = (): HookStatus => hook.status()
export type { HookStatus }
