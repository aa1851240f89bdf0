import { createClient } from "@portcullis/client";

export const auth = createClient({ url: "http://localhost:8787", mode: "cookie" });
