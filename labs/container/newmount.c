#include "newmount.h"

#include <sys/mount.h>

#include "file.h"

int new_mount(const char *type, const char *const options[][2], unsigned attributes)
{
    lab_fd context = fsopen(type, FSOPEN_CLOEXEC);

    if (context == -1 || fsconfig(context, FSCONFIG_SET_STRING, "source", type, 0) == -1)
        return -1;
    for (; options && (*options)[0]; options++) {
        int result = (*options)[1]
                         ? fsconfig(context, FSCONFIG_SET_STRING, (*options)[0], (*options)[1], 0)
                         : fsconfig(context, FSCONFIG_SET_FLAG, (*options)[0], NULL, 0);
        if (result == -1)
            return -1;
    }
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1)
        return -1;
    return fsmount(context, FSMOUNT_CLOEXEC, attributes);
}

int clone_mount(int directory, const char *name, bool recursive)
{
    const unsigned all = recursive ? AT_RECURSIVE : 0;
    struct mount_attr change = {.propagation = MS_PRIVATE};
    lab_fd copy =
        open_tree(directory, name,
                  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | all);

    /* The copy of a shared mount is its peer: what is mounted in one appears in the other. */
    if (copy == -1 || mount_setattr(copy, "", AT_EMPTY_PATH | all, &change, sizeof(change)) == -1)
        return -1;
    return lab_take_fd(&copy);
}

int set_mount(int mount, const char *name, unsigned attributes, int users, bool recursive)
{
    struct mount_attr change = {
        .attr_set = attributes,
        .userns_fd = users == -1 ? 0 : (unsigned)users,
    };
    return mount_setattr(mount, name, AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U), &change,
                         sizeof(change));
}

int attach(int mount, int target)
{
    return move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}
