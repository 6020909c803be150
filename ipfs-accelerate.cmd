@echo off
setlocal
rem Runs the command line of this checkout with the Node that `npm run setup` chose.
if not exist "%~dp0.toolchain\node-path" goto missing
if not exist "%~dp0apps\cli\dist\index.js" goto missing
set /p IPFS_ACCELERATE_NODE=<"%~dp0.toolchain\node-path"
"%IPFS_ACCELERATE_NODE%" "%~dp0apps\cli\bin\ipfs-accelerate.js" %*
exit /b %errorlevel%
:missing
echo ipfs-accelerate: not built yet; run "npm run setup" in %~dp0 first 1>&2
exit /b 1
