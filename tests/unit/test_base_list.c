/* Lists: order, membership, and removing while walking. */
#include "nearside/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct item {
    uint32_t magic;
    char name;
    struct list link;
};

#define ITEM_MAGIC UINT32_C(0x6e7417e3)

static struct item items[5];

static int
items_up(void **state)
{
    (void)state;
    memset(items, 0, sizeof(items));
    for (int i = 0; i < 5; i++) {
        items[i].magic = ITEM_MAGIC;
        items[i].name = (char)('a' + i);
    }
    return 0;
}

/* The names along the list, checked backwards as well. */
static void
assert_order(const struct list *head, const char *want)
{
    const struct list *back = head->prev;
    size_t n = 0;

    LIST_EACH (it, head) {
        assert_int_equal(CONTAINER_OF(it, struct item, link)->name, want[n]);
        n++;
    }
    assert_int_equal(n, strlen(want));
    while (n-- > 0) {
        assert_int_equal(
            CONTAINER_OF(back, const struct item, link)->name, want[n]);
        back = back->prev;
    }
    assert_ptr_equal(back, head);
}

static void
links_keep_their_order(void **state)
{
    struct list head;

    (void)state;
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_first(&head));
    assert_null(list_pop(&head));
    list_push_back(&head, &items[1].link);
    list_push_back(&head, &items[2].link);
    list_push_front(&head, &items[0].link);
    assert_order(&head, "abc");
    assert_ptr_equal(list_first(&head), &items[0].link);
    assert_ptr_equal(list_pop(&head), &items[0].link);
    assert_order(&head, "bc");
}

static void
a_link_knows_whether_it_is_linked(void **state)
{
    struct list head;

    (void)state;
    list_init(&head);
    assert_false(list_is_linked(&items[0].link)); /* all zero */
    list_remove(&items[0].link);                  /* harmless */
    list_push_back(&head, &items[0].link);
    assert_true(list_is_linked(&items[0].link));
    list_remove(&items[0].link);
    assert_false(list_is_linked(&items[0].link));
    list_remove(&items[0].link);
    assert_true(list_is_empty(&head));
    list_push_front(&head, &items[0].link);
    assert_order(&head, "a");
}

static void
the_current_link_may_leave_while_walking(void **state)
{
    struct list head;

    (void)state;
    list_init(&head);
    for (int i = 0; i < 5; i++) {
        list_push_back(&head, &items[i].link);
    }
    LIST_EACH (it, &head) {
        char name = CONTAINER_OF(it, struct item, link)->name;
        if (name == 'a' || name == 'c' || name == 'e') {
            list_remove(it);
        }
    }
    assert_order(&head, "bd");
}

static void
splicing_moves_all_behind_the_end(void **state)
{
    struct list to;
    struct list from;

    (void)state;
    list_init(&to);
    list_init(&from);
    list_splice(&to, &from);
    assert_true(list_is_empty(&to));
    list_push_back(&from, &items[1].link);
    list_push_back(&from, &items[2].link);
    list_splice(&to, &from);
    assert_order(&to, "bc");
    assert_true(list_is_empty(&from));
    list_push_back(&from, &items[3].link);
    list_splice(&to, &from);
    assert_order(&to, "bcd");
}

static void
an_object_is_found_by_its_magic(void **state)
{
    (void)state;
    assert_ptr_equal(OBJ_OF(struct item, &items[2], ITEM_MAGIC), &items[2]);
}

#define LIST_TEST(f) cmocka_unit_test_setup(f, items_up)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LIST_TEST(links_keep_their_order),
        LIST_TEST(a_link_knows_whether_it_is_linked),
        LIST_TEST(the_current_link_may_leave_while_walking),
        LIST_TEST(splicing_moves_all_behind_the_end),
        LIST_TEST(an_object_is_found_by_its_magic),
    };

    return cmocka_run_group_tests_name("base.list", tests, NULL, NULL);
}
