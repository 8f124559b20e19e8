/* model_migrations.h - keys on their way from one server to another: the RESTOREs that MIGRATE
 * makes of them, by source host and target, with what became of them; and the last of each slot. */
#ifndef BUSTAP_ANALYSIS_MODEL_MIGRATIONS_H
#define BUSTAP_ANALYSIS_MODEL_MIGRATIONS_H

#include "analysis/model.h"

struct migration {
    struct endpoint source; /* its port is 0: the connection's own means nothing */
    struct endpoint target;
    struct place first, last;  /* RESTOREs */
    uint64_t keys, bytes;      /* RESTOREs that succeeded; of their requests */
    uint64_t late, unanswered; /* answered after the source had closed; or not at all */
    uint8_t slots[BUS_SLOT_BYTES];
};

/* By their first sign; at most CAP_MIGRATIONS, further ones are counted in the books. */
size_t model_migration_count(const struct model *model);
const struct migration *model_migration(const struct model *model, size_t index);

/* When a key of the slot was last sent to another server; 0: never. */
nstime model_slot_moved(const struct model *model, uint32_t slot);

#endif
