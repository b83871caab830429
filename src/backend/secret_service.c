#include "backend/secret_service.h"

#include "backend/secret_session.h"

typedef tc_secret_session session;

#define MOST_TRIES 5

static const SecretSchema schema = {
    .name = "tokencache",
    .flags = SECRET_SCHEMA_DONT_MATCH_NAME, /* also what other tools have put there */
    .attributes = {{"application", SECRET_SCHEMA_ATTRIBUTE_STRING},
                   {"key", SECRET_SCHEMA_ATTRIBUTE_STRING}},
};

static GHashTable *attributes_of(const session *s, const char *key) {
  return secret_attributes_build(&schema, "application", s->place->application, "key", key, NULL);
}

static void free_items(GList *items) {
  g_list_free_full(items, g_object_unref);
}

/* Reports whether what is not found is not there: an unlocked collection says so. */
static int check_collection(session *s, tc_error *err) {
  secret_collection_for_alias(s->service, s->place->collection, SECRET_COLLECTION_NONE,
                              s->cancellable, tc_secret_on_result, s);
  SecretCollection *found = secret_collection_for_alias_finish(tc_secret_await(s), &s->error);
  if (s->error != NULL) return tc_secret_fail(s, err);
  if (found == NULL && s->may_ask) return 0; /* it is made when it is needed */
  if (found == NULL) {
    return tc_error_set(err, TC_ERR_CACHE,
                        "there is no keyring \"%s\"; create it, as a login to the desktop or "
                        "gnome-keyring-daemon --unlock does",
                        s->place->collection);
  }
  bool is_locked = secret_collection_get_locked(found);
  if (is_locked && s->may_ask) {
    GList objects = {.data = found};
    secret_service_unlock(s->service, &objects, s->cancellable, tc_secret_on_result, s);
    is_locked = secret_service_unlock_finish(s->service, tc_secret_await(s), NULL, &s->error) != 1;
  }
  g_object_unref(found);
  if (s->error != NULL) return tc_secret_fail(s, err);
  if (is_locked) return tc_secret_fail_locked(s, err);
  tc_secret_session_found_unlocked();
  return 0;
}

/* As far as the Secret Service, or D-Bus, tells: gnome-keyring's D-Bus has no such method then. It
   may have been deleted, or the keyring locked, or begun anew. */
static bool has_vanished(const GError *error) {
  return g_error_matches(error, SECRET_ERROR, SECRET_ERROR_NO_SUCH_OBJECT) ||
         g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_OBJECT) ||
         g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD);
}

/* Reports whether a call is to begin anew, as what it had found has vanished. */
static bool is_to_repeat(session *s, int *tries) {
  if (!has_vanished(s->error) || ++*tries == MOST_TRIES) return false;
  g_clear_error(&s->error);
  return true;
}

static GList *search(session *s, const char *key) {
  GHashTable *attributes = attributes_of(s, key);
  int flags = SECRET_SEARCH_ALL | (s->may_ask ? SECRET_SEARCH_UNLOCK : 0);
  secret_service_search(s->service, &schema, attributes, (SecretSearchFlags)flags, s->cancellable,
                        tc_secret_on_result, s);
  g_hash_table_unref(attributes);
  return secret_service_search_finish(s->service, tc_secret_await(s), &s->error);
}

/* 0: `*items` are all there are, none of them locked, to be freed. */
static int find(session *s, const char *key, GList **items, tc_error *err) {
  *items = NULL;
  int status = s->may_ask ? check_collection(s, err) : 0;
  if (status < 0) return status;
  GList *found = search(s, key);
  if (s->error != NULL) return tc_secret_fail(s, err);
  if (found == NULL && !s->may_ask) return check_collection(s, err);
  for (GList *i = found; i != NULL && status == 0; i = i->next) {
    if (secret_item_get_locked(i->data)) status = tc_secret_fail_locked(s, err);
  }
  if (status == 0) {
    *items = found;
    if (found != NULL) tc_secret_session_found_unlocked();
  } else {
    free_items(found);
  }
  return status;
}

/* There is more than one only where somebody has made another collection the default one. */
static SecretItem *newest(GList *items) {
  SecretItem *best = items->data;
  for (GList *i = items->next; i != NULL; i = i->next) {
    if (secret_item_get_modified(i->data) > secret_item_get_modified(best)) best = i->data;
  }
  return best;
}

/* NULL: there is none, or it failed. */
static SecretValue *read_value(session *s, GList *items) {
  if (items == NULL) return NULL;
  SecretItem *item = newest(items);
  secret_item_load_secret(item, s->cancellable, tc_secret_on_result, s);
  bool loaded = secret_item_load_secret_finish(item, tc_secret_await(s), &s->error);
  return loaded ? secret_item_get_secret(item) : NULL;
}

static tc_str str_of(SecretValue *value) {
  tc_str bytes = TC_STR_NONE;
  if (value != NULL) bytes.data = secret_value_get(value, &bytes.len);
  return bytes;
}

static int get(session *s, const char *key, tc_buf *bytes, tc_error *err) {
  GList *items;
  int status = find(s, key, &items, err);
  if (status < 0) return status;
  SecretValue *value = read_value(s, items);
  if (value != NULL) {
    tc_buf_add_str(bytes, str_of(value));
    secret_value_unref(value);
  } else {
    status = items == NULL ? TC_SECRET_MISSING : tc_secret_fail(s, err);
  }
  free_items(items);
  return bytes->failed ? tc_error_set(err, TC_ERR_NOMEM, NULL) : status;
}

int tc_secret_get(const tc_secret_place *place, const char *key, tc_buf *bytes, tc_error *err) {
  session s;
  int status = tc_secret_session_open(&s, place, err);
  if (status == 0) {
    int tries = 0;
    do status = get(&s, key, bytes, err);
    while (is_to_repeat(&s, &tries));
  }
  tc_secret_session_close(&s);
  return status;
}

static void create(session *s, const tc_secret_change *change, SecretValue *value) {
  GHashTable *attributes = attributes_of(s, change->key);
  secret_service_store(s->service, &schema, attributes, s->place->collection, change->label, value,
                       s->cancellable, tc_secret_on_result, s);
  (void)secret_service_store_finish(s->service, tc_secret_await(s), &s->error);
  g_hash_table_unref(attributes);
}

static void delete_all(session *s, GList *items) {
  for (GList *i = items; i != NULL && s->error == NULL; i = i->next) {
    secret_item_delete(i->data, s->cancellable, tc_secret_on_result, s);
    (void)secret_item_delete_finish(i->data, tc_secret_await(s), &s->error);
  }
}

static void write_value(session *s, GList *items, const tc_secret_change *change) {
  SecretValue *value =
      secret_value_new(change->bytes.data, (gssize)change->bytes.len, "application/json");
  if (items == NULL) {
    create(s, change, value);
  } else {
    SecretItem *item = newest(items);
    secret_item_set_secret(item, value, s->cancellable, tc_secret_on_result, s);
    (void)secret_item_set_secret_finish(item, tc_secret_await(s), &s->error);
  }
  secret_value_unref(value);
}

/* Where the entry could not be read it is not, and the error tells why. */
static bool is_expected(session *s, GList *items, const tc_str *old) {
  if (old == NULL) return true;
  if (items == NULL || old->data == NULL) return items == NULL && old->data == NULL;
  SecretValue *value = read_value(s, items);
  bool is_same = value != NULL && tc_str_equal(str_of(value), *old);
  if (value != NULL) secret_value_unref(value);
  return is_same;
}

static int put(session *s, const tc_secret_change *change, tc_error *err) {
  GList *items;
  int status = find(s, change->key, &items, err);
  if (status < 0) return status;
  if (!is_expected(s, items, change->old)) {
    status = TC_SECRET_OTHER;
  } else if (change->bytes.data == NULL) {
    delete_all(s, items);
  } else {
    write_value(s, items, change);
  }
  free_items(items);
  return s->error != NULL ? tc_secret_fail(s, err) : status;
}

int tc_secret_put(const tc_secret_place *place, const tc_secret_change *change, tc_error *err) {
  session s;
  int status = tc_secret_session_open(&s, place, err);
  if (status == 0) {
    int tries = 0;
    do status = put(&s, change, err);
    while (is_to_repeat(&s, &tries));
  }
  tc_secret_session_close(&s);
  return status;
}

/* Not by libsecret, whose search among many fails where one of them is deleted meanwhile. NULL
   where it failed. Takes the parameters. */
static GVariant *call(session *s, const char *path, const char *interface, const char *method,
                      GVariant *parameters) {
  g_dbus_connection_call(s->bus, g_dbus_proxy_get_name(G_DBUS_PROXY(s->service)), path, interface,
                         method, parameters, NULL, G_DBUS_CALL_FLAGS_NONE, -1, s->cancellable,
                         tc_secret_on_result, s);
  return g_dbus_connection_call_finish(s->bus, tc_secret_await(s), &s->error);
}

/* False: the item has vanished. */
static bool add_key(session *s, const char *item, tc_buf *keys) {
  GVariant *attributes = NULL;
  const char *key;
  GVariant *reply = call(s, item, "org.freedesktop.DBus.Properties", "Get",
                         g_variant_new("(ss)", "org.freedesktop.Secret.Item", "Attributes"));
  if (has_vanished(s->error)) {
    g_clear_error(&s->error);
    return false;
  }
  if (reply == NULL) return true;
  g_variant_get(reply, "(v)", &attributes);
  if (g_variant_lookup(attributes, "key", "&s", &key)) tc_buf_add(keys, key, strlen(key) + 1);
  g_variant_unref(attributes);
  g_variant_unref(reply);
  return true;
}

static int list(session *s, tc_buf *keys, tc_error *err) {
  char **unlocked, **locked;
  GVariantBuilder attributes;
  int status = s->may_ask ? check_collection(s, err) : 0;
  if (status < 0) return status;
  g_variant_builder_init(&attributes, G_VARIANT_TYPE("a{ss}"));
  g_variant_builder_add(&attributes, "{ss}", "application", s->place->application);
  GVariant *found = call(s, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service",
                         "SearchItems", g_variant_new("(a{ss})", &attributes));
  if (found == NULL) return tc_secret_fail(s, err);
  g_variant_get(found, "(^ao^ao)", &unlocked, &locked);
  bool is_complete = unlocked[0] != NULL;
  if (locked[0] != NULL) status = tc_secret_fail_locked(s, err);
  for (size_t i = 0; status == 0 && unlocked[i] != NULL; i++) {
    is_complete = add_key(s, unlocked[i], keys) && is_complete;
    if (s->error != NULL) status = tc_secret_fail(s, err);
  }
  if (status == 0 && !is_complete) status = check_collection(s, err);
  g_strfreev(unlocked);
  g_strfreev(locked);
  g_variant_unref(found);
  return status == 0 && keys->failed ? tc_error_set(err, TC_ERR_NOMEM, NULL) : status;
}

int tc_secret_keys(const tc_secret_place *place, tc_buf *keys, tc_error *err) {
  session s;
  int status = tc_secret_session_open(&s, place, err);
  if (status == 0) status = list(&s, keys, err);
  tc_secret_session_close(&s);
  return status;
}
