import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

declare const process: { env: Record<string, string | undefined> };

const edge = `http://${process.env["PARLEY_HOST"] ?? "127.0.0.1"}:${process.env["PARLEY_EDGE_PORT"] ?? "8080"}`;

export default defineConfig({
  plugins: [react(), tailwindcss()],
  server: {
    // Every gRPC path begins with a package. `vite --mode fake` needs no edge at all.
    proxy: { "^/(parley|grpc)\\.": { target: edge, changeOrigin: true } },
  },
  build: {
    target: ["chrome123", "firefox120", "safari17.5"],
    // Small files as data: addresses would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Which file needs which: tests/architecture/test_page_size.py adds up the first load.
    manifest: true,
  },
});
