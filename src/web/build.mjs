// Builds the page from app/ to dist/, which is committed and embedded into the binary.
//
//   node src/web/build.mjs            writes dist/
//   node src/web/build.mjs --check    fails if dist/ is not up to date or too large
//
// File names of assets contain a hash of their content, so browsers may cache them forever. index.html names all assets
// that the first paint needs; the worker's file name is compiled into the script.

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import * as esbuild from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const DIST = join(HERE, "dist");
// The size limit of dist/ in bytes, before compression.
const MAX_SIZE = 300 * 1024;

const options = {
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  legalComments: "none",
  charset: "utf8",
  target: ["chrome123", "firefox128", "safari17.5"],
  entryNames: "[name]-[hash]",
  metafile: true,
  logLevel: "warning",
};

/** Bundles one entry point into `folder`. Returns the name of the output file. */
async function bundle(folder, entry, extraOptions = {}) {
  const { metafile } = await esbuild.build({ ...options, entryPoints: [entry], outdir: folder, ...extraOptions });
  const outputs = Object.entries(metafile.outputs);
  const [path] = outputs.find(([, output]) => output.entryPoint === entry) ?? [];
  if (path === undefined || outputs.length !== 1)
    throw new Error(`${entry} has the outputs ${outputs.map(([name]) => name)}`);
  return basename(path);
}

async function build(folder) {
  await mkdir(folder, { recursive: true });
  const worker = await bundle(folder, "app/feed/worker.ts", { format: "iife" });
  const names = {
    theme: await bundle(folder, "app/theme.ts", { format: "iife" }),
    style: await bundle(folder, "app/css/style.css"),
    main: await bundle(folder, "app/main.ts", { format: "esm", define: { WORKER: JSON.stringify(worker) } }),
    icon: await bundle(folder, "app/icon.svg", { bundle: false, loader: { ".svg": "copy" } }),
  };
  const html = await readFile(join(HERE, "app/index.html"), "utf8");
  const index = html.replace(/\{\{(\w+)\}\}/g, (_, name) => names[name] ?? fail(`index.html: no asset ${name}`));
  await writeFile(join(folder, "index.html"), index);
}

async function contents(folder) {
  const names = (await readdir(folder)).sort();
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))])));
}

function fail(message) {
  throw new Error(message);
}

async function check() {
  const folder = await mkdtemp(join(tmpdir(), "page-"));
  try {
    await build(folder);
    const [built, committed] = [await contents(folder), await contents(DIST)];
    const names = new Set([...built.keys(), ...committed.keys()]);
    const stale = [...names].filter((name) => !built.get(name)?.equals(committed.get(name) ?? Buffer.alloc(0)));
    if (stale.length > 0) fail(`dist/ is not up to date (npm run build): ${stale.join(", ")}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (process.argv.includes("--check")) {
  await check();
} else {
  await rm(DIST, { recursive: true, force: true });
  await build(DIST);
}
let total = 0;
for (const [name, bytes] of await contents(DIST)) {
  process.stdout.write(`${String(bytes.length).padStart(8)}  ${name}\n`);
  total += bytes.length;
}
process.stdout.write(`${String(total).padStart(8)}  total\n`);
if (total > MAX_SIZE) fail(`the page has ${total} bytes, more than ${MAX_SIZE}`);
