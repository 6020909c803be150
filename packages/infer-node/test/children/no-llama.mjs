import { registerHooks } from 'node:module'

// What Node says of a package that is not installed.
registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== 'node-llama-cpp') return next(specifier, context)
    throw Object.assign(new Error(`Cannot find package '${specifier}' imported from ${context.parentURL}`), {
      code: 'ERR_MODULE_NOT_FOUND',
    })
  },
})
