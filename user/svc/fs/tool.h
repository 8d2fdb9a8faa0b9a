// SPDX-License-Identifier: MIT
// What `nebulet disk` runs: create, check, ls, cat, get, put, mkdir or rm, an image, and paths in
// it.
#pragma once

int tool(int argc, char **argv); // from the command on; the exit code
