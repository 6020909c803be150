// What musl does to a library that was built for glibc, and what a machine without a network does.
const dlopen = process.dlopen.bind(process)
process.dlopen = (module, file, ...rest) => {
  if (file.includes('onnxruntime_binding')) {
    throw new Error('Error loading shared library ld-linux-x86-64.so.2: No such file or directory')
  }
  return dlopen(module, file, ...rest)
}
globalThis.fetch = () => {
  throw new Error('the network was asked for')
}
