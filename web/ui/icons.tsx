// Icons, drawn as strokes on a grid of 24. They are decorative: the text beside them says the same.

const PATHS = {
  user: "M20 21v-1a6 6 0 0 0-6-6h-4a6 6 0 0 0-6 6v1M12 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8",
  users:
    "M16 21v-1a5 5 0 0 0-5-5H7a5 5 0 0 0-5 5v1M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8M22 21v-1a5 5 0 0 0-4-4.9M16 3.3a4 4 0 0 1 0 7.4",
  lock: "M6 11h12a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-8a1 1 0 0 1 1-1M8 11V7a4 4 0 0 1 8 0v4",
  computer: "M5 4h14a1 1 0 0 1 1 1v10H4V5a1 1 0 0 1 1-1M2 19h20",
  phone: "M8 2h8a1.5 1.5 0 0 1 1.5 1.5v17A1.5 1.5 0 0 1 16 22H8a1.5 1.5 0 0 1-1.5-1.5v-17A1.5 1.5 0 0 1 8 2M11 18.5h2",
  chart: "M4 4v16h16M9 16v-4M13 16V7M17 16v-6",
  pulse: "M2 12h4l3 8 6-16 3 8h4",
  login: "M14 3h5a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1h-5M10 8l4 4-4 4M14 12H3",
  logout: "M10 3H5a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h5M16 8l4 4-4 4M20 12H9",
  warning: "M12 3 2 20h20zM12 10v4M12 17v.1",
  alert: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M12 8v5M12 16v.1",
  check: "M5 12.5 10 17 19 7",
  cross: "M6 6l12 12M18 6 6 18",
  eye: "M2 12s3.6-7 10-7 10 7 10 7-3.6 7-10 7S2 12 2 12M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6",
  eyeOff:
    "M9.9 5.2A10 10 0 0 1 12 5c6.400 0 10 7 10 7a17 17 0 0 1-2.600 3.500M6.300 6.600A17 17 0 0 0 2 12s3.600 7 10 7a10 10 0 0 0 5-1.300M9.900 9.900a3 3 0 0 0 4.200 4.200M3 3l18 18",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14M16 16l5 5",
  edit: "M4 20h4L19 9a2.800 2.800 0 0 0-4-4L4 16z",
  shield: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z",
  back: "M15 5l-7 7 7 7",
  forward: "M9 5l7 7-7 7",
  mail: "M4 5h16a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1M3.500 6.500 12 13l8.500-6.500",
  plus: "M12 5v14M5 12h14",
  key: "M9.300 10.900A6 6 0 1 1 13.100 14.700L11.800 16H9.500v2.500H7V21H3v-3.800zM16.500 7.500v.1",
  copy: "M9 9h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1V10a1 1 0 0 1 1-1M5 15H4a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1h10a1 1 0 0 1 1 1v1",
};

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
