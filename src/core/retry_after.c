#include "core/retry_after.h"

#include <stdint.h>
#include <stdio.h>

#define LONGEST_DATE 40
#define LONGEST 1e9 /* seconds; what is longer need not be exact */
#define UNKNOWN (-1.0)

static const char *const months = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Days from 1970-01-01 to the date in the Gregorian calendar; not timegm, which is not portable. */
static int64_t days_since_epoch(int year, int month, int day) {
  int64_t y = month <= 2 ? year - 1 : year;
  int64_t era = y / 400;
  int64_t year_of_era = y - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

static double http_date(const char *text, double now) {
  int day, year, hour, minute, second, end = 0;
  char month[4] = "", zone[4] = "";
  if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3s%n", &day, month, &year, &hour,
             &minute, &second, zone, &end) == 7) {
    /* IMF-fixdate */
  } else if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d %3s%n", &day, month, &year,
                    &hour, &minute, &second, zone, &end) == 7) {
    year += year < 70 ? 2000 : 1900; /* rfc850-date */
  } else if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &day, &hour,
                    &minute, &second, &year, &end) == 6) {
    memcpy(zone, "GMT", sizeof zone); /* asctime-date */
  } else {
    return UNKNOWN;
  }
  if (text[end] != '\0') return UNKNOWN;
  const char *found = strlen(month) == 3 ? strstr(months, month) : NULL;
  if (found == NULL || (found - months) % 3 != 0 || strcmp(zone, "GMT") != 0) return UNKNOWN;
  if (year < 1970 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 60) {
    return UNKNOWN;
  }
  int64_t days = days_since_epoch(year, (int)(found - months) / 3 + 1, day);
  double at = (double)(days * 86400 + hour * 3600 + minute * 60 + second);
  return at > now ? at - now : 0;
}

double tc_retry_after_parse(tc_str text, double now) {
  char copy[LONGEST_DATE];
  double seconds = 0;
  size_t i = 0;
  while (i < text.len && text.data[i] >= '0' && text.data[i] <= '9') {
    if (seconds < LONGEST) seconds = seconds * 10 + (text.data[i] - '0');
    i++;
  }
  if (i > 0 && i == text.len) return seconds;
  if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, '\0', text.len) != NULL) {
    return UNKNOWN;
  }
  memcpy(copy, text.data, text.len);
  copy[text.len] = '\0';
  return http_date(copy, now);
}
