/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The C half of the bindings for filesystems: inline functions, macros, and what
 * needs types that kernel::bindings does not know in full.
 */
#ifndef STABLE_PAGES_FS_H
#define STABLE_PAGES_FS_H

#include <linux/fs.h>
#include <linux/types.h>

struct address_space;
struct buffer_head;
struct cred;
struct delegated_inode;
struct dentry;
struct file;
struct file_system_type;
struct folio;
struct fs_context;
struct fs_context_operations;
struct fs_parameter;
struct inode;
struct iov_iter;
struct kiocb;
struct kstatfs;
struct mem_cgroup;
struct page;
struct path;
struct qstr;
struct readahead_control;
struct seq_file;
struct super_block;
struct workqueue_struct;
struct writeback_control;

const struct cred *sp_current_cred(void);
const struct cred *sp_override_creds(const struct cred *cred);
void sp_revert_creds(const struct cred *cred);
void sp_put_cred(const struct cred *cred);
bool sp_rights_alike(const struct cred *rights, const struct cred *other);
const struct cred *sp_rights(const struct cred *mounter, struct cred **recent);

void sp_fs_context_init(struct fs_context *fc, const struct fs_context_operations *ops,
			void *private);
struct super_block *sp_fs_context_super(struct fs_context *fc);
void *sp_fs_context_private(struct fs_context *fc);
void sp_fs_context_invalid(struct fs_context *fc, const char *message);
const char *sp_fs_parameter_key(const struct fs_parameter *param);
const char *sp_fs_parameter_string(const struct fs_parameter *param);

bool sp_super_inherit(struct super_block *sb, const struct path *path);
void sp_kstatfs_set_type(struct kstatfs *buf, unsigned long magic);
void sp_show_option(struct seq_file *seq, const char *name, const char *value);
int sp_super_sync(struct super_block *sb, struct super_block *lower, u32 *seen);
int sp_super_reconfigure(struct fs_context *fc);
void sp_super_write_back(struct super_block *sb);
u32 sp_super_error(struct super_block *sb);
void sp_buffer_map(struct buffer_head *bh, struct super_block *sb, u64 block);
bool sp_path_is_plain(const struct path *path);
bool sp_exec_is_refused(const struct file *file, const struct path *lower);

struct inode *sp_d_inode(const struct dentry *dentry);
struct dentry *sp_dget(struct dentry *dentry);
struct dentry *sp_d_parent(struct dentry *dentry);
bool sp_d_agree(struct dentry *upper, struct dentry *lower, struct inode *inode);
int sp_d_revalidate(struct dentry *dentry, unsigned int flags);
void sp_d_drop_moved(struct dentry *upper, struct dentry *lower);
bool sp_d_folds(const struct dentry *dentry);
int sp_d_hash(const struct dentry *dentry, struct qstr *name);
int sp_d_compare(const struct dentry *dentry, unsigned int len, const char *str,
		 const struct qstr *name);
void sp_d_move(struct dentry *old, struct dentry *new, unsigned int flags);
int sp_without_delegations(int (*change)(void *argument, struct delegated_inode *delegated),
			   void *argument);
bool sp_d_is_linked(struct dentry *dentry);
int sp_tmpfile_finish(struct file *file, struct inode *inode);

bool sp_inode_prepare(struct inode *inode, struct inode *lower);
bool sp_inode_sets_times(struct inode *inode);
bool sp_inode_has_no_privileges(struct inode *inode);
void sp_touch_atime(const struct path *mount, struct inode *inode);
void sp_touch_special(const struct path *mount, struct inode *inode, unsigned int flags);
bool sp_inode_is_supported(struct inode *inode);
void sp_inode_lock(struct inode *inode);
void sp_inode_unlock(struct inode *inode);
int sp_commit_lock(void);
void sp_commit_lock_inode(struct inode *inode);
void sp_commit_unlock(void);
loff_t sp_i_size_read(struct inode *inode);
void sp_i_size_write(struct inode *inode, loff_t size);
void sp_zero_behind_end(struct inode *inode, loff_t to);
void sp_inode_copy_attributes(struct inode *inode, struct inode *lower);
void sp_inode_prepare_mapping(struct inode *inode);

void sp_filemap_invalidate_lock(struct inode *inode);
void sp_filemap_invalidate_unlock(struct inode *inode);

/*
 * Many tasks are inside at once, or some have it closed. In one number: how many are
 * inside (24 bits), wait (24), have closed it (8), and how often it was opened (8).
 * Not a semaphore: who waits at it may hold locks of a filesystem below, as one may
 * who waits for the end of writeback. Zero is an open one; it can be freed as soon as
 * no task is inside.
 */
struct sp_gate {
	atomic64_t state;
};

bool sp_gate_try_enter(struct sp_gate *gate);
void sp_gate_enter(struct sp_gate *gate);
int sp_gate_enter_killable(struct sp_gate *gate);
void sp_gate_leave(struct sp_gate *gate);
int sp_gate_close(struct sp_gate *gate);
void sp_gate_open(struct sp_gate *gate);

void sp_forget_behind(struct inode *inode, loff_t from, loff_t size);
void sp_mapping_set_error(struct inode *inode, int error);
void sp_super_set_error(struct inode *inode, int error);

struct folio *sp_readahead_folio(struct readahead_control *ractl);

struct mem_cgroup *sp_charge_folio(struct folio *folio, struct mem_cgroup **memcg);
void sp_charge_end(struct mem_cgroup *old, struct mem_cgroup *memcg);
bool sp_charge_is_limited(struct mem_cgroup *memcg);
unsigned int sp_task_flag_save(unsigned int flag);
void sp_task_flag_restore(unsigned int flag, unsigned int old);
int sp_workqueue_call(struct workqueue_struct *wq, int (*call)(void *), void *argument);

void sp_inode_report_lost(struct inode *inode, struct inode *lower);
void sp_file_no_times(struct file *file);
bool sp_file_can_direct(struct file *file);
void sp_file_set_modes(struct file *file, bool direct);
rwf_t sp_file_cache_flags(struct file *file, struct folio *folio);
void sp_file_accessed(struct file *file);
ssize_t sp_file_read(struct file *file, struct folio *folio, struct iov_iter *iter,
		     loff_t *pos);
ssize_t sp_file_read_direct(struct file *file, struct iov_iter *iter, loff_t *pos);
ssize_t sp_file_write_direct(struct file *file, struct iov_iter *iter, loff_t *pos);
bool sp_iter_will_pin(const struct iov_iter *iter);
ssize_t sp_write_sync(struct kiocb *kiocb, ssize_t written);
size_t sp_iter_count(const struct iov_iter *iter);
size_t sp_iter_hide(struct iov_iter *iter, size_t count);
void sp_iter_unhide(struct iov_iter *iter, size_t rest);
bool sp_writeback_waits(const struct writeback_control *wbc);
bool sp_writeback_syncs(const struct writeback_control *wbc);
void sp_writeback_skipped(struct writeback_control *wbc, const struct folio *folio);
int sp_write_and_wait_range(struct inode *inode, loff_t start, loff_t end);

#endif /* STABLE_PAGES_FS_H */
